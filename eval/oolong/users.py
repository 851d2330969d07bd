"""The task group `user`."""

import random
from collections.abc import Iterator

from eval.oolong.asked import ALL, Gold, Question, of_subset, ranked
from eval.oolong.lines import labels_of
from eval.oolong.windows import Window

_FORM = "Give your final answer in the form 'User: [X]', where [X] is the user ID."
# The subset's user is one of this many with most lines; two users to compare are among ten.
TOP_USERS = 50
COMPARED_USERS, FIRST_HALF = 10, 5
TRIES = 10


def user_questions(window: Window, draw: random.Random) -> Iterator[Question]:
    """The questions about users over a context."""
    users = ranked([line.user for line in window.lines])
    yield from _most(users)
    chosen = draw.choice(users[:TOP_USERS])[0]
    about = (
        "For the following question, only consider the subset of instances that are associated "
        f"with user IDs {chosen}. Among instances associated with these users,"
    )
    yield from of_subset([x.label for x in window.lines if x.user == chosen], "user", about)
    for label in labels_of(window.lines):
        yield from _of_label(window, label, draw)


def _most(users: list[tuple[Gold, int]]) -> Iterator[Question]:
    if len(users) < 2 or users[0][1] == users[1][1]:
        return
    text = f"{ALL} which user is represented {{}} often? {_FORM}"
    yield Question("user", "MOST_FREQ", "USER", text.format("most"), (users[0][0],))
    if len(users) == 2 or users[1][1] > users[2][1]:
        second = text.format("the second most")
        yield Question("user", "SECOND_MOST_FREQ", "USER", second, (users[1][0],))


def _of_label(window: Window, label: str, draw: random.Random) -> Iterator[Question]:
    top = ranked([line.user for line in window.lines if line.label == label])[:COMPARED_USERS]
    if len(top) > 1 and top[0][1] > top[1][1]:
        text = f"{ALL} which user has the most instances with the label {label}? {_FORM}"
        yield Question("user", "MOST_FREQ", "USER", text, (top[0][0],))
    last = min(COMPARED_USERS, len(top)) - 1
    middle = FIRST_HALF if len(top) == COMPARED_USERS else last // 2
    for _ in range(TRIES):
        (a, more), (b, less) = top[draw.randint(0, middle)], top[draw.randint(middle, last)]
        if more > less + 1:
            text = (
                f"{ALL} which user has more instances with the label {label}: User {a} or User {b}?"
                f" {_FORM}"
            )
            yield Question("user", "RELATIVE_FREQ", "USER", text, (a,))
            return
