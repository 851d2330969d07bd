"""Replies as they stream in, with the field markers that dspy's stream listeners look for.

A lean reply (see `adapters`) has no field markers, so `dspy.streaming.StreamListener` would hear
nothing of it. What is marked here is the planner's reasoning and code, and the one output of any
other predictor; a reply of several outputs, or one with markers of its own, passes unchanged.
"""

from collections.abc import Iterator

import dspy

from rlm_dspy.adapters import after_thought, split_reply
from rlm_dspy.signatures import is_plan

FENCE, THINKING = "```", "<think>"
OWN = "[[ ##"
COMPLETED = "completed"


class MarkedReply:
    r"""One reply: its text comes in by pieces, and goes out by pieces with markers between them.

    Args:
        signature: What the reply answers.

    Example:
        >>> reply = MarkedReply(dspy.Signature("text -> answer"))
        >>> [*reply.take("Gr"), *reply.take("az"), *reply.end()]
        ['[[ ## answer ## ]]\n', 'Gr', 'az', '\n\n[[ ## completed ## ]]\n']
    """

    def __init__(self, signature: type[dspy.Signature]):
        self._plans = is_plan(signature)
        self._names = list(signature.output_fields)
        self._unchanged = not self._plans and len(self._names) != 1
        self._reply = ""
        self._field = ""
        self._said: dict[str, int] = {}  # characters, by field

    def take(self, text: str) -> Iterator[str]:
        """The next piece of the reply.

        Yields:
            What can be said by now; a marker is a piece of its own.
        """
        self._reply += text
        reply = after_thought(self._reply)
        start = reply.lstrip()[: len(OWN)]
        if self._unchanged:
            yield text
        elif self._may_think():
            return
        elif start == OWN:
            self._unchanged = True
            yield reply
        elif not OWN.startswith(start):
            yield from self._new(self._fields())

    def end(self) -> Iterator[str]:
        """The reply is over.

        Yields:
            What was held back.
        """
        if self._unchanged:
            return
        reply = after_thought(self._reply)
        whole = split_reply(reply) if self._plans else (reply,)
        yield from self._new(dict(zip(self._order(), whole, strict=True)))
        if self._field:
            yield _marker(COMPLETED)

    def _may_think(self) -> bool:
        """Whether all so far is thinking, or may become it."""
        start = self._reply.lstrip()[: len(THINKING)]
        if start == THINKING:
            return not after_thought(self._reply).strip()
        return THINKING.startswith(start)

    def _order(self) -> list[str]:
        return ["reasoning", "code"] if self._plans else self._names

    def _fields(self) -> dict[str, str]:
        """What of each field is sure by now: a last line may yet become a fence."""
        reply = after_thought(self._reply)
        if not self._plans:
            return {self._names[0]: reply}
        head, newline, last = reply.rpartition("\n")
        opened = FENCE in head
        unsure = FENCE.startswith(last.strip()[:3]) if opened else "`" in last
        reasoning, code = split_reply(head + newline if unsure else reply)
        return {"reasoning": reasoning, "code": code if opened else ""}

    def _new(self, fields: dict[str, str]) -> Iterator[str]:
        order = self._order()
        for name, value in fields.items():
            said = self._said.get(name, 0)
            passed = self._field and order.index(name) < order.index(self._field)
            if len(value) <= said or passed:
                continue
            if name != self._field:
                yield _marker(name) if self._field else _marker(name).lstrip()
                self._field = name
            yield value[said:]
            self._said[name] = len(value)


def _marker(name: str) -> str:
    return f"\n\n[[ ## {name} ## ]]\n"
