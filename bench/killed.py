"""Kills runs at random moments, resumes them, and counts what was asked of the model again.

    python -m bench.killed --kills 200

A model server on this machine counts the requests; each run is a process of its own that is ended
by SIGKILL after a random number of requests and a random wait. Promised by the record: a resumed
run gives the answer that it gives without the kill, and no request that was answered and recorded
is sent again.
"""

import argparse
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import rlm_dspy  # noqa: F401 - before litellm: it keeps that from asking the network for prices
from bench.header import command_line, header

TEXT = "The grass grows. " * 300 + "The code of locker B-17 is 5309."
ITEMS = [f"line {number}" for number in range(40)]
STEPS = (
    "import random\nseen = [random.random()]\nprint(ask('Which?', context[:80]))",
    f"found = ask_each('Is it?', {ITEMS}, returns=bool, pack=4)\nprint(sum(found), price('ship'))",
    "parts = rlm_query_batched(['Part A?', 'Part B?'], [context[:4000], context[2000:]])\n"
    "seen.append(random.random())\nprint(parts)",
    "SUBMIT(answer=f'{seen} {found} {parts} {price(\"end\")}')",
)
PLANNER, SUB = "openai/planner", "openai/sub"


def block(code: str) -> str:
    """Code as a planner's reply."""
    return f"```python\n{code}\n```"


def reply(body: dict[str, Any]) -> str:
    """What the model server says: a function of the request alone."""
    messages = body["messages"]
    last = str(messages[-1]["content"])
    if body["model"] == "planner":
        turns = [m for m in messages if m["role"] != "system"]
        if "Part " in str(turns[0]["content"]):
            return block("SUBMIT(answer=str(len(context)) + ask('Sub?', context[:40]))")
        return block(STEPS[min(len(turns) // 2, len(STEPS) - 1)])
    numbers = re.findall(r"(?m)^(\d+): line", last)
    if numbers:  # every fifth item is forgotten, and asked again
        return "\n".join(f"{n}: {'yes' if int(n) % 2 else 'no'}" for n in numbers if n != "14")
    return "yes" if "line" in last else "a ship"


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing: who asked was killed."""


class Server:
    """A model server that notes every request it gets.

    Args:
        seconds: How long a reply takes.
    """

    def __init__(self, seconds: float):
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.asked.append(prompt_of(body["messages"]))
                time.sleep(seconds)
                message = {"role": "assistant", "content": reply(body)}
                said = {
                    "id": "1", "object": "chat.completion", "created": 1, "model": body["model"],
                    "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
                    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                }  # fmt: skip
                data = json.dumps(said).encode()
                try:
                    self.send_response(200)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:  # who asked was killed
                    self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
                pass

        self._server = _Quiet(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


def prompt_of(messages: list[dict[str, Any]]) -> str:
    """A request's prompt, for comparison."""
    return json.dumps([[m["role"], m["content"]] for m in messages], ensure_ascii=False)


def price(name: str) -> int:
    """The price of a thing."""
    return len(name)


def answered(url: str, store: str, run: str | None, told: Any) -> None:
    """In a process of its own: runs or resumes, and tells what was answered."""
    import dspy

    from rlm_dspy import RLM, Budget, RLMOptions

    def lm(name: str) -> dspy.LM:
        return dspy.LM(name, api_base=url, api_key="none", cache=False, engine="litellm")

    rlm = RLM(
        sub_lm=lm(SUB),
        tools=[price],
        budget=Budget(depth=2, concurrency=4),
        options=RLMOptions(store=store),
    )
    with dspy.context(lm=lm(PLANNER)):
        result = rlm.resume(run) if run else rlm(context=TEXT, query="q")
    told.put((result.answer.partition("] ")[2], result.run.status, result.run.spend.calls))


@dataclass
class Count:
    """What came of the kills.

    Args:
        kills: How many there were.
        unrecorded: Those before the run had begun.
        sent_again: Requests that were recorded and sent again: none should be.
        lost: Requests that the kill cut off, and that were sent again.
        other_answers: Runs that answered otherwise after a resumption: none should.
        kept: Requests that the record answered.
    """

    kills: int = 0
    unrecorded: int = 0
    sent_again: int = 0
    lost: int = 0
    other_answers: int = 0
    kept: int = 0
    notes: list[str] = field(default_factory=list)


def killed(kills: int, seed: int, folder: Path, seconds: float = 0.02) -> Count:
    """Kills and resumes runs.

    Args:
        kills: How often.
        seed: Of the moments.
        folder: Where the stores lie.
        seconds: How long a reply takes.
    """
    draw = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["litellm", "dspy", "rlm_dspy.rlm"])
    server = Server(seconds)
    try:
        told = context.Queue()
        whole = _run(context, server, str(folder / "whole.sqlite"), None, told)
        needed = Counter(server.asked)
        count = Count()
        for number in range(kills):
            server.asked.clear()
            _kill_one(context, server, folder / f"{number}.sqlite", draw, needed, whole, count)
        return count
    finally:
        server.close()


def _run(context: Any, server: Server, store: str, run: str | None, told: Any) -> tuple[Any, ...]:
    process = context.Process(target=answered, args=(server.url, store, run, told))
    process.start()
    result = told.get(timeout=300)
    process.join()
    return result


def _kill_one(
    context: Any,
    server: Server,
    path: Path,
    draw: random.Random,
    needed: Counter[str],
    whole: tuple[Any, ...],
    count: Count,
) -> None:
    from rlm_dspy.errors import StoreError
    from rlm_dspy.runs.store import Store

    told = context.Queue()
    process = context.Process(target=answered, args=(server.url, str(path), None, told))
    process.start()
    after, wait = draw.randrange(needed.total()), draw.uniform(0, 0.06)
    while len(server.asked) < after and process.is_alive():
        time.sleep(0.001)
    time.sleep(wait)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    time.sleep(0.1)  # what was sent before the kill arrives
    count.kills += 1
    before = Counter(server.asked)
    store = Store(path)
    try:
        run = store.find(None).id
    except StoreError:
        count.unrecorded += 1
        store.close()
        return
    answers = store.exchanges(run).values()
    recorded = Counter(prompt_of(messages) for messages, said in answers if said is not None)
    store.close()
    server.asked.clear()
    again = _run(context, server, str(path), run, context.Queue())
    after_kill = Counter(server.asked)
    count.kept += recorded.total()
    count.lost += (before - recorded).total()
    wrong = after_kill - (needed - recorded)
    count.sent_again += wrong.total()
    if again[:2] != whole[:2]:
        count.other_answers += 1
        count.notes.append(f"{whole[:2]} became {again[:2]}")


def main() -> int:
    """Prints the table; 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    print(header(command_line("bench.killed")))
    print(f"seed: {given.seed}; the model is scripted")
    with tempfile.TemporaryDirectory() as folder:
        count = killed(given.kills, given.seed, Path(folder))
    titles = ("kills", "before the run began", "answered by the record", "cut off, sent again",
              "recorded, sent again", "other answers")  # fmt: skip
    values = (count.kills, count.unrecorded, count.kept, count.lost, count.sent_again,
              count.other_answers)  # fmt: skip
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    print(f"| {' | '.join(map(str, values))} |")
    for note in count.notes:
        print(note, file=sys.stderr)
    return 1 if count.sent_again or count.other_answers else 0


if __name__ == "__main__":
    raise SystemExit(main())
