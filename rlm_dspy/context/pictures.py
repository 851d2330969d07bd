"""Images as text, by whoever can read them; what was read once is kept.

The text of an image is kept in the cache folder under the hash of its bytes, where the one who
reads it says by `cache_key` what it depends on besides (the model, the prompt).
"""

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

from rlm_dspy.context.read_options import Describe
from rlm_dspy.context.readers.base import Part, Picture, Skipped, parsing
from rlm_dspy.context.readers.images import taken
from rlm_dspy.context.readers.limits import Exhausted, Unreadable
from rlm_dspy.errors import RLMError
from rlm_dspy.settings import cache_dir


def described(part: Part, describe: Describe | None) -> Part | Skipped:
    """A part that only has images, with the text of those.

    Args:
        part: The part.
        describe: Writes down what an image says.

    Raises:
        ConfigurationError: A rule does not allow it to read this file, as its `may_read` says.
    """
    if describe is None:
        reason = "no text, only an image" if part.metadata["kind"] != "image" else "an image"
        return Skipped(
            part.place,
            f"{reason}: a vision model can read it (describe=, --vision-model)",
            failed=True,
            lasting=True,
        )
    if (may_read := getattr(describe, "may_read", None)) is not None and part.path is not None:
        may_read(part.path)
    try:
        with parsing("an image"):
            given = part.pictures() if part.pictures is not None else ()
            texts = [_text_of(taken(picture), describe) for picture in given]
    except Exhausted:
        raise
    except Unreadable as error:
        return Skipped(part.place, error.message, failed=True)
    except RLMError as error:  # of the model, or of its budget
        return Skipped(
            part.place, f"its image could not be described: {error.message}", failed=True
        )
    text = "\n\n".join(text.strip() for text in texts if text.strip())
    if not text:
        return Skipped(part.place, "no text")
    metadata = {**part.metadata, "described": True}
    return replace(part, data=f"{text}\n", pictures=None, metadata=metadata)


def _text_of(picture: Picture, describe: Describe) -> str:
    key = getattr(describe, "cache_key", None)
    if key is None:
        return describe(*picture)
    kept = _kept_at(picture, key)
    if kept.is_file():
        return kept.read_text(encoding="utf-8")
    text = describe(*picture)
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    number, name = tempfile.mkstemp(dir=kept.parent)
    with open(number, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)
    os.replace(name, kept)
    return text


def _kept_at(picture: Picture, key: str) -> Path:
    digest = hashlib.sha256(f"{key}\0{picture.mime}\0".encode() + picture.data).hexdigest()
    return cache_dir() / "pictures" / digest[:2] / f"{digest}.txt"
