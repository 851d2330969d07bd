"""One file from the HuggingFace Hub into the models folder, whole and checked or not at all."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from rlm_dspy.errors import ConfigurationError

_ANSWER_SECONDS = 10


def fetch(
    repo: str,
    file: str,
    folder: Path,
    digest: str | None,
    progress: Callable[[int, int], None] | None,
) -> Path:
    """Download a file.

    Args:
        repo: "owner/name" on the Hub.
        file: The file's path in the repository.
        folder: Where it goes, under its own last name.
        digest: Its SHA-256 in hexadecimal digits, or None for no check.
        progress: Called with (bytes so far, bytes in all).

    Returns:
        The file in `folder`.

    Raises:
        ConfigurationError: The Hub does not answer, has no such file, or the file is not the one
            expected.
    """
    target = folder / Path(file).name
    folder.mkdir(parents=True, exist_ok=True)
    # In the same file system, so that the last step is a rename.
    part = Path(mkdtemp(prefix=".pull-", dir=folder))
    try:
        got = _download(repo, file, part, target, progress)
        _check(got, repo, digest)
        os.replace(got, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _download(
    repo: str, file: str, part: Path, target: Path, progress: Callable[[int, int], None] | None
) -> Path:
    os.environ.setdefault("HF_HUB_DOWNLOAD_TIMEOUT", str(_ANSWER_SECONDS))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    except ImportError as error:
        raise ConfigurationError(
            "Fetching weights needs huggingface-hub: pip install huggingface-hub, or in a clone "
            "uv run --extra local."
        ) from error
    try:
        # The download itself tries for half a minute to reach a network that is not there.
        get_hf_file_metadata(hf_hub_url(repo, file), timeout=_ANSWER_SECONDS)
        return Path(
            hf_hub_download(
                repo,
                file,
                local_dir=part,
                etag_timeout=_ANSWER_SECONDS,
                tqdm_class=_bar_class(progress),
            )
        )
    except Exception as error:  # whatever the Hub's client raises, the user needs a way on
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigurationError(
            f"{file} of {repo} could not be fetched ({reason}). Check the network and the name, "
            f"or fetch the file elsewhere and put it at {target}.",
            repo=repo,
            file=file,
        ) from error


def _bar_class(progress: Callable[[int, int], None] | None) -> Any:
    from tqdm import tqdm

    class Bar(tqdm):
        """The Hub client's progress bar, told to a function instead of drawn."""

        def __init__(self, *args: Any, **kwargs: Any):
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": False, "file": _Nowhere()})

        def update(self, n: float | None = 1) -> bool | None:
            done = super().update(n)
            if progress is not None and self.unit == "B":
                progress(int(self.n), int(self.total or 0))
            return done

    return Bar


class _Nowhere:
    def write(self, _: str) -> None:
        """Draw nothing."""

    def flush(self) -> None:
        """Draw nothing."""


def _check(path: Path, repo: str, digest: str | None) -> None:
    if digest is not None and (got := sha256(path)) != digest:
        raise ConfigurationError(
            f"{path.name} of {repo} is not the file expected: its SHA-256 is {got}, not {digest}. "
            "Nothing was kept; try again, or report it.",
            sha256=got,
        )


def sha256(path: Path) -> str:
    """The file's SHA-256 in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
