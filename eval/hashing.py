"""What tells texts apart in few digits."""

import hashlib


def hashed(text: str, digits: int = 16) -> str:
    """The first hexadecimal digits of a text's SHA-256; lone surrogates count as any character.

    Args:
        text: The text.
        digits: How many, 64 at most.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
