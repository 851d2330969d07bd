"""One case of `bench.repl`, run as a process of its own: `python -m bench.repl_cases REQUEST`.

REQUEST is JSON: "case" (a key of `CASES`) and that function's arguments. What was measured goes to
standard output, a JSON object a line: {"doing": …} says what begins, {"hold": true} asks for a
reading of the memory and waits for a line, and the last one is {"measured": …} or {"error": …}.
Times are seconds of `time.perf_counter`; importing a rival is not timed.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench.repl_rivals import MAKERS, WAYS, Repl

_STARTS = 4
_FREE_SECONDS = 30.0
_LIMIT_SECONDS = 1.0
_SETTLE_SECONDS = 0.2
_SLICES = 50
_SLICES_SECONDS = 2.0


def say(message: dict[str, Any]) -> None:
    """Write one line to who started this."""
    _OUT.write(json.dumps(message) + "\n")
    _OUT.flush()


def hold() -> None:
    """Let the memory be read while everything is alive."""
    # A process that is being forked just now is in no list yet, and shares pages already.
    time.sleep(_SETTLE_SECONDS)
    say({"hold": True})
    sys.stdin.readline()


def percentile(values: list[float], share: float) -> float:
    """The value that this share of them does not exceed (nearest rank)."""
    return sorted(values)[max(0, -(-len(values) * int(share * 100) // 100) - 1)]


def _expect(got: str, wanted: str) -> None:
    if got.strip() != wanted.strip():
        raise RuntimeError(f"printed {got[:40]!r}, not {wanted[:40]!r}")


def _timed(repl: Repl, code: str, wanted: str, context: Any = None) -> float:
    began = time.perf_counter()
    got = repl.run(code, context)
    seconds = time.perf_counter() - began
    _expect(got, wanted)
    return seconds


def start(rival: str) -> dict[str, Any]:
    """From making a session to its first output, several sessions one after the other."""
    _load(rival)
    seconds = []
    for number in range(_STARTS):
        say({"doing": f"start {number + 1}"})
        began = time.perf_counter()
        repl = MAKERS[rival](_FREE_SECONDS, 2048)
        repl.start()
        _timed(repl, "print('ready')", "ready")
        seconds.append(time.perf_counter() - began)
        repl.close()
    return {"first": seconds[0], "later": statistics.median(seconds[1:])}


def steps(rival: str, count: int, pause: float) -> dict[str, Any]:
    """Trivial steps, one after the other, with a pause between them."""
    repl = _started(rival)
    say({"doing": f"{count} steps"})
    seconds = []
    for number in range(count):
        seconds.append(_timed(repl, f"x = {number}\nprint(x)", str(number)))
        time.sleep(pause)
    repl.close()
    return {"median": statistics.median(seconds), "p95": percentile(seconds, 0.95)}


def contexts(
    way: str, path: str, memory_mb: int, questions: dict[str, list[list[str]]]
) -> dict[str, Any]:
    """Hand a long text over, and run steps on slices of it, then on all of it.

    Args:
        way: A key of `WAYS`.
        path: The text's file.
        memory_mb: What the session may use, where it can be told.
        questions: As `bench.repl_texts` makes them.
    """
    chosen = WAYS[way]
    repl = _started(chosen.rival, _FREE_SECONDS * 10, memory_mb)
    say({"doing": "reading the text"})
    had = chosen.had(Path(path))
    say({"doing": "handing over"})
    [(_, length)] = questions["length"]
    began = time.perf_counter()
    context = chosen.given(had)
    _timed(repl, chosen.first, length, context)
    handed = time.perf_counter() - began
    again = context if chosen.again else None

    def all_of(kind: str) -> float:
        say({"doing": f"steps on {kind}"})
        return sum(_timed(repl, code, printed, again) for code, printed in questions[kind])

    sliced = all_of("slices")
    say({"doing": "small steps"})
    [(small, printed)] = questions["small"]
    times: list[float] = []
    until = time.perf_counter() + _SLICES_SECONDS
    while len(times) < _SLICES and (not times or time.perf_counter() < until):
        times.append(_timed(repl, small.format(at=len(times)), printed, again))
    hold()
    scanned = all_of("everything")
    hold()
    repl.close()
    return {
        "handed": handed, "sliced": sliced, "small": statistics.median(times), "scanned": scanned
    }  # fmt: skip


def paired(small: str, large: str, count: int, pause: float) -> dict[str, Any]:
    """The same step of ours over a short and over a long context, in turns.

    Args:
        small: The short text's file.
        large: The long text's file.
        count: How many steps of each.
        pause: Seconds before each.
    """
    sessions = [
        (_started("rlm_dspy"), WAYS["path"].given(WAYS["path"].had(Path(path))))
        for path in (small, large)
    ]
    for repl, context in sessions:
        repl.run("x = context[5:9]", context)
    say({"doing": f"{count} steps of each"})
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(count):
        for (repl, context), seconds in zip(sessions, times, strict=True):
            time.sleep(pause)
            began = time.perf_counter()
            repl.run("print(context[100:120])", context)
            seconds.append(time.perf_counter() - began)
    for repl, _ in sessions:
        repl.close()
    return {"small": statistics.median(times[0]), "large": statistics.median(times[1])}


def sessions(rival: str, count: int, each: int) -> dict[str, Any]:
    """Many sessions at once, a thread each: start, and some steps."""
    _load(rival)
    say({"doing": f"{count} sessions"})

    def one(number: int) -> tuple[Repl, int]:
        repl = MAKERS[rival](_FREE_SECONDS * 10, 2048)
        repl.start()
        wrong = 0
        for step in range(each):
            try:
                _timed(repl, f"x = {number * 1000 + step}\nprint(x)", str(number * 1000 + step))
            except Exception:  # noqa: BLE001 - lost, mixed up or failed: it is counted
                wrong += 1
        return repl, wrong

    with ThreadPoolExecutor(count) as pool:
        began = time.perf_counter()
        done = list(pool.map(one, range(count)))
        seconds = time.perf_counter() - began
        hold()
        say({"doing": "closing"})
        for repl, _ in done:
            repl.close()
    return {"seconds": seconds, "wrong": sum(wrong for _, wrong in done), "steps": count * each}


def timeout(rival: str) -> dict[str, Any]:
    """An endless step under a limit: how soon the next step has run after it, and with what."""
    repl = _started(rival, _LIMIT_SECONDS)
    _timed(repl, "kept = 41\nprint(kept)", "41")
    say({"doing": "an endless step"})
    began = time.perf_counter()
    try:
        repl.run("while True:\n    pass")
    except Exception:  # noqa: BLE001 - each rival has its own error for it
        ended = time.perf_counter()
    else:
        raise RuntimeError("the endless step has ended without an error")
    say({"doing": "the step after it"})
    try:
        _expect(repl.run("print(kept + 1)"), "42")
        kept = True
    except Exception:  # noqa: BLE001 - the session is over: a new one goes on
        repl.close()
        repl = MAKERS[rival](_LIMIT_SECONDS, 2048)
        _expect(repl.run("print('ready')"), "ready")
        kept = False
    seconds = time.perf_counter() - began - _LIMIT_SECONDS
    repl.close()
    return {"ended": ended - began - _LIMIT_SECONDS, "recovered": seconds, "kept": kept}


def _load(rival: str) -> None:
    """Import a rival, and nothing more."""
    say({"doing": "importing"})
    MAKERS[rival](_FREE_SECONDS, 2048).close()
    say({"ready": True})


def _started(rival: str, step_seconds: float = _FREE_SECONDS, memory_mb: int = 2048) -> Repl:
    say({"doing": "importing and starting"})
    repl = MAKERS[rival](step_seconds, memory_mb)
    repl.start()
    _timed(repl, "print('ready')", "ready")
    say({"ready": True})
    return repl


CASES: dict[str, Callable[..., dict[str, Any]]] = {
    "start": start,
    "steps": steps,
    "contexts": contexts,
    "paired": paired,
    "sessions": sessions,
    "timeout": timeout,
}


def main() -> None:
    """Run the case that the command line asks for."""
    request = json.loads(sys.argv[1])
    try:
        say({"measured": CASES[request.pop("case")](**request)})
    except Exception as error:  # noqa: BLE001 - whatever it is, the table says it
        text = " ".join(str(error).split())
        say({"error": f"{type(error).__name__}: {text}" if text else type(error).__name__})


if __name__ == "__main__":
    # Standard output belongs to the messages: what a rival writes there goes nowhere.
    _OUT = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    main()
