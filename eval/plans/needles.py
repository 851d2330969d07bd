"""The plan for RULER's needles: find the key in code, ask what its value is."""

import re

from eval.plans.reading import Reading

_NEEDLE = re.compile(r"special magic (\w+) for (.+) mentioned in the provided text\?$")
_FIND = """
import re
def passages(key):
    hits = re.finditer(re.escape(key), {context})
    return [str({context}[max(hit.start() - 60, 0) : hit.end() + 60]) for hit in hits]
found = {{key: passages(key) for key in {keys}}}
print(found)
"""
_ASK = """
answers = []
for key, texts in found.items():
    question = "What is the special magic value for " + key + "? Answer with the value only."
    answers += ask_each(question, texts)
SUBMIT({output}=", ".join(str(answer) for answer in answers))
"""


def needle_plan(reading: Reading) -> tuple[str, str] | None:
    """The two steps; None for another question."""
    asked = _NEEDLE.search(reading.question)
    if asked is None:
        return None
    keys = re.split(r", and |, ", asked[2])
    return (
        _FIND.format(keys=keys, context=reading.context),
        _ASK.format(output=reading.output),
    )
