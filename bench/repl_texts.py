"""The made-up texts of `bench.repl`: files of any size, and what steps over them must print."""

import random
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 16
_HEAD = 100_000
_SHIPS = ("Grey Heron", "Amber Swallow", "Blue Marlin", "Old Lantern", "Quiet Harbour")
_PORTS = ("Lisbon", "Bergen", "Genoa", "Riga", "Cadiz")
_SOUGHT = "Grey Heron left Lisbon"
_OTHERS = ("Île d’Aix", "Færøerne", "Αθήνα", "東京港", "São Luís")


@dataclass(frozen=True)
class Text:
    """A text in a file: one block of lines, again and again.

    Args:
        path: The file.
        block: The block.
        times: How often it stands there.
    """

    path: Path
    block: str
    times: int

    @property
    def characters(self) -> int:
        """How long the text is."""
        return len(self.block) * self.times

    def slice(self, start: int, end: int) -> str:
        """A slice of it, made from the block alone."""
        end = min(end, self.characters)
        first = start // len(self.block)
        part = self.block * (-(-end // len(self.block)) - first)
        return part[start - first * len(self.block) : end - first * len(self.block)]

    def questions(self, variable: str) -> dict[str, list[tuple[str, str]]]:
        """Code and what it must print.

        Args:
            variable: What the text is called in the code.

        Returns:
            "length": its length. "slices": three steps on slices. "small": one small step, with
            "{at}" in its code, a number below 50 that may differ each time. "everything": a step
            over all of it.
        """
        middle, last = self.characters // 2, self.characters
        head = min(_HEAD, last)
        words = sum(len(self.slice(at, at + 1000).split()) for at in range(0, head, 1000))
        a_slice = repr(self.slice(middle, middle + 200))
        lines = self.slice(last - 900, last).count("\n")
        return {
            "length": [(f"print(len({variable}))", str(last))],
            "slices": [
                (f"print(repr({variable}[{middle}:{middle + 200}]))", a_slice),
                (f"print({variable}[-900:].count('\\n'))", str(lines)),
                (
                    f"print(sum(len({variable}[at:at + 1000].split())"
                    f" for at in range(0, {head}, 1000)))",
                    str(words),
                ),
            ],
            "small": [
                (f"print(len({variable}[{middle} - {{at}}:{middle} + 100 - {{at}}]))", "100")
            ],
            "everything": [
                (
                    f"print({variable}.count({_SOUGHT!r}))",
                    str(self.block.count(_SOUGHT) * self.times),
                )
            ],
        }


def make(path: Path, size: int, seed: int, *, ascii_only: bool) -> Text:
    """Write a text.

    Args:
        path: The file to write.
        size: About how many bytes; at least 1,000.
        seed: Of the words.
        ascii_only: Whether every character is ASCII.
    """
    draw = random.Random(seed)
    ports = _PORTS if ascii_only else _PORTS + _OTHERS
    lines, length = [], 0
    while length < min(size, _BLOCK) - 80:
        day = draw.randrange(1000)
        line = f"day {day:03}: the {draw.choice(_SHIPS)} left {draw.choice(ports)} at noon.\n"
        lines.append(line)
        length += len(line.encode())
    block = "".join(lines)
    encoded = block.encode()
    times = max(1, size // len(encoded))
    with path.open("wb") as file:
        for _ in range(times):
            file.write(encoded)
    return Text(path, block, times)
