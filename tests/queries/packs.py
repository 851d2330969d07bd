"""What a scripted model sees of a pack, and how it answers one."""

import re


def text_of(asked):
    """The text that a sub-query reads."""
    return asked.last.split("<text>\n", 1)[1].rsplit("\n</text>", 1)[0]


def items_of(asked):
    """The items of a pack by number; none for a question about one text."""
    if "Answer for every item by itself" not in asked.last:
        return {}
    return {int(n): t for n, t in re.findall(r"^(\d+): (.*)$", text_of(asked), re.MULTILINE)}


def answered(asked, answer, spoil=lambda pairs: pairs):
    """The reply of a model that answers each item by `answer`.

    Args:
        asked: The request.
        answer: The answer to an item's text.
        spoil: What becomes of the pairs of number and answer of a pack.
    """
    items = items_of(asked)
    if not items:
        return str(answer(text_of(asked)))
    pairs = [(number, answer(text)) for number, text in items.items()]
    return "\n".join(f"{number}: {value}" for number, value in spoil(pairs))
