"""A local server that speaks the OpenAI protocol: as slow and as faulty as a measurement asks.

    python -m bench.chat_server --seconds 1 --faults 0.2

It prints its port and serves until its standard input closes. A faulty request fails in one of
five ways, each as often: 429 with `Retry-After: 1`, 500, a cut connection, an answer that is no
JSON, an answer that takes 30 seconds. Faults fall at random, on retries too.
"""

import argparse
import asyncio
import contextlib
import json
import random
import sys

FAULTS = ("429", "500", "cut", "garbage", "stall")
MARKED = "[[ ## response ## ]]"


def answer_of(text: str) -> bytes:
    """The body of an answer."""
    message = {"role": "assistant", "content": text}
    return json.dumps(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "bench",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 40, "completion_tokens": 2, "total_tokens": 42},
        }
    ).encode()


# As the prompt asks for it: dspy's own adapter with its marks, a lean one without.
PLAIN, IN_MARKS = answer_of("7"), answer_of(f"{MARKED}\n7\n\n[[ ## completed ## ]]")
REFUSED = b'{"error": {"message": "refused", "type": "x", "code": null}}'


class ChatServer:
    """The server.

    Args:
        seconds: How long an answer takes.
        faults: The share of requests that fail.
        stall: How long one that stalls takes, in seconds.
        seed: Which requests fail.
    """

    def __init__(self, seconds: float, faults: float, stall: float, seed: int):
        self._seconds = seconds
        self._faults = faults
        self._stall = stall
        self._draw = random.Random(seed)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                pass
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        body = await reader.readexactly(length)
        answer = IN_MARKS if MARKED.encode() in body else PLAIN
        fault = self._draw.choice(FAULTS) if self._draw.random() < self._faults else ""
        await asyncio.sleep(self._stall if fault == "stall" else self._seconds)
        if fault == "cut":
            return False
        status, more, body = b"200 OK", b"", answer
        if fault == "429":
            status, more, body = b"429 Too Many Requests", b"Retry-After: 1\r\n", REFUSED
        elif fault == "500":
            status, body = b"500 Internal Server Error", REFUSED
        elif fault == "garbage":
            body = answer[: len(answer) // 2]
        writer.write(
            b"HTTP/1.1 %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
            % (status, more, len(body), body)
        )
        await writer.drain()
        return True


async def main() -> None:
    """Serves until standard input closes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--faults", type=float, default=0.0)
    parser.add_argument("--stall", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chat = ChatServer(given.seconds, given.faults, given.stall, given.seed)
    server = await asyncio.start_server(chat.serve, "127.0.0.1", 0, backlog=1_024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main())
