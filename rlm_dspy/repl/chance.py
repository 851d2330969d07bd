"""Where randomness in a worker comes from: the system or, in a session with a seed, the seed.

Promises: with a seed, all that code can draw (`random`, generators of its own made without a seed,
`SystemRandom`, `secrets`, `uuid`) follows from it, draw by draw, and the state of it is ordinary
memory: a snapshot holds it, and what a rolled-back step drew is drawn again. Such secrets are none:
whoever knows the seed knows them.
"""

import _random
import hashlib
import os
import random
from typing import Any

_WORD = 8  # bytes of a counter
_SEED = 32  # bytes that a generator is seeded with


class Stream:
    """Bytes that follow from a seed: SHAKE-256 (FIPS 202) of the seed and the number of the read.

    Args:
        seed: Any integer.
    """

    def __init__(self, seed: int):
        self._key = hashlib.sha256(hex(seed).encode()).digest()
        self.reads = 0

    def read(self, size: int, /) -> bytes:
        """The next bytes, as `os.urandom` gives them."""
        self.reads += 1
        return hashlib.shake_256(self._key + self.reads.to_bytes(_WORD, "big")).digest(size)


_stream: Stream | None = None


def follow(seed: int) -> None:
    """Draw everything from a seed from now on, in the whole process."""
    global _stream
    _stream = stream = Stream(seed)
    seed_with = _random.Random.seed

    def chosen(self: Any, value: Any = None, /) -> None:
        seed_with(self, int.from_bytes(stream.read(_SEED), "big") if value is None else value)

    def initialised(self: Any, value: Any = None, /) -> None:
        chosen(self, value)

    # Each is what the library itself calls; `random.Random` and its subclasses come here.
    chosen.__name__, initialised.__name__ = "seed", "__init__"
    vars(os)["urandom"] = vars(random)["_urandom"] = stream.read
    _random.Random.seed, _random.Random.__init__ = chosen, initialised
    random.seed()


def state() -> Any:
    """Where drawing stands: for `restore`."""
    return random.getstate(), _stream.reads if _stream is not None else 0


def restore(kept: Any) -> None:
    """Go on drawing where it stood."""
    generator, reads = kept
    random.setstate(generator)
    if _stream is not None:
        _stream.reads = reads
