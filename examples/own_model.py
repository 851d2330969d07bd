"""A model of one's own: an engine that answers requests, wrapped in `dspy.LM`.

The engine below is a few rules; put a call of your own client in their place.

uv run python examples/own_model.py
"""

import dspy
from dspy.lm15 import Message, Request, Response, Usage

from rlm_dspy import RLM

FIRST = """Look for the line first.
```python
hits = context.grep("captain")
print(hits[0])
```"""
SECOND = """```python
SUBMIT(answer=hits[0].extract_after("called"))
```"""


class Rules:
    """Plans look-ups: the first reply searches, the second submits."""

    def complete(self, request: Request) -> Response:
        """Answers one request."""
        asked = "\n".join(message.text or "" for message in request.messages)
        said = SECOND if "captain" in asked and len(request.messages) > 1 else FIRST
        usage = Usage(input_tokens=len(asked) // 4, output_tokens=len(said) // 4)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(said),
            finish_reason="stop",
            usage=usage,
        )


dspy.configure(lm=dspy.LM("rules", engine=Rules(), cache=False))
text = "Nothing happened.\n" * 10_000 + "The captain has a ship called the Grey Heron\n"
result = RLM("context, query -> answer: str")(context=text, query="What is the ship's name?")

print(result.answer)
for step in result.trajectory:
    print(step)
print(result.run.models, result.run.spend.calls, "calls")
