"""Where labelled texts come from, and how a context speaks of them.

The published contexts are made of ten data sets whose texts may not be shipped here. These two may:
definitions of WordNet and mails of SpamAssassin (`eval/data/LICENSES.md`).
"""

from collections.abc import Callable
from dataclasses import dataclass

from eval import data


@dataclass(frozen=True)
class Source:
    """Texts with labels.

    Args:
        name: Its name.
        description: What the lines are, with {k} for the number of labels and {labels} for them.
        one: What one text is called.
        labels: The labels, in their fixed order.
        texts: Gives the texts by label.
        prompt_tokens: Tokens of intro and recall, by cl100k_base.
        example_tokens: Mean tokens of a labelled line, by cl100k_base over 1,000 of them.
    """

    name: str
    description: str
    one: str
    labels: tuple[str, ...]
    texts: Callable[[], dict[str, tuple[str, ...]]]
    prompt_tokens: int
    example_tokens: int

    def lines_for(self, length: int) -> int:
        """How many lines fit a context of a length in tokens; 250 are left for the question."""
        return int((0.95 * length - self.prompt_tokens - 250) // self.example_tokens)


WORDNET = Source(
    name="wordnet",
    description=(
        "dictionary definitions of nouns, one per line. What each definition defines can be "
        "described as one of {k} categories: {labels}."
    ),
    one="definition",
    labels=("animal", "artifact", "person", "quantity", "location", "plant"),
    texts=data.glosses,
    prompt_tokens=183,
    example_tokens=37,
)
SPAM_ASSASSIN = Source(
    name="spam_assassin",
    description=(
        "beginnings of e-mail messages, one per line. Each message can be classified as spam or "
        "ham (i.e., not spam)."
    ),
    one="message",
    labels=("ham", "spam"),
    texts=data.mails,
    prompt_tokens=153,
    example_tokens=83,
)
SOURCES = {source.name: source for source in (WORDNET, SPAM_ASSASSIN)}
