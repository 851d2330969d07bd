"""All questions over a context."""

import random
from collections import Counter

from eval.oolong.asked import Question as Question
from eval.oolong.asked import counting
from eval.oolong.timeline import timeline_questions
from eval.oolong.users import user_questions
from eval.oolong.windows import Window

GROUPS = ("counting", "user", "timeline")


def questions_of(window: Window) -> list[Question]:
    """Every question that the three task groups ask over a context, in a fixed order."""
    draw = random.Random(f"{window.id}/questions")
    found = Counter(line.label for line in window.lines)
    counts = {label: found[label] for label in window.labels}
    return [*counting(counts), *user_questions(window, draw), *timeline_questions(window, draw)]
