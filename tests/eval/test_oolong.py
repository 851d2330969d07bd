"""OOLONG's generator: lines, windows, questions, and the twenty queries over pairs of users."""

import re
from collections import Counter
from datetime import date, timedelta
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.oolong import SOURCES, Line, make_window, parsed_lines, questions_of
from eval.oolong.asked import CLOSE, answer_text, counting, golds_of
from eval.oolong.pairs import LETTERS, QUERIES, TREC_LABELS
from eval.oolong.windows import FIRST_DAY, LAST_DAY
from eval.scorers import oolong_synth
from rlm_dspy import ConfigurationError

WORDNET, MAILS = SOURCES["wordnet"], SOURCES["spam_assassin"]
windows = st.builds(
    make_window,
    st.sampled_from([WORDNET, MAILS]),
    st.sampled_from([1536, 4096]),
    st.integers(0, 10_000).map(str),
)
some = settings(max_examples=25, deadline=None)


def test_a_context_has_intro_lines_and_recall():
    window = make_window(WORDNET, 1024, "s1")
    text = window.text()
    n = len(window.lines)
    labels = ", ".join(f"'{label}'" for label in window.labels)
    specific = (
        f" lines contain {n} dictionary definitions of nouns, one per line. What each definition "
        f"defines can be described as one of 6 categories: {labels}.\n\n"
        "You will be asked to answer questions about the aggregate label statistics across all "
        f"{n} examples in this dataset. Do not try to guess, estimate, or approximate the result. "
        "Calculate the exact answer given these datapoints.\n\n"
    )
    assert text.startswith("The following" + specific + "Date: ")
    assert text.endswith("\nRecall: the preceding" + specific)
    body = text.removeprefix("The following" + specific).removesuffix(
        "Recall: the preceding" + specific
    )
    line = re.compile(r"Date: [A-Z][a-z]{2} \d{2}, \d{4} \|\| User: \d{5} \|\| Instance: [^\n]+")
    assert len(body.splitlines()) == n
    assert all(line.fullmatch(written) for written in body.splitlines())


def test_a_labelled_context_differs_in_the_labels_only():
    window = make_window(MAILS, 2048, "s1")
    assert re.sub(r" \|\| Label: (ham|spam)$", "", window.text(True), flags=re.M) == window.text()
    assert "can be classified as spam or ham (i.e., not spam).\n\n" in window.text()


@given(windows)
@some
def test_a_window_is_drawn_as_defined(window):
    source, lines = window.source, window.lines
    assert len(lines) == int(
        (0.95 * window.length - source.prompt_tokens - 250) // (source.example_tokens)
    )
    assert sorted(window.labels) == sorted(source.labels)
    assert all(FIRST_DAY <= line.date <= LAST_DAY for line in lines)
    assert all(10_000 <= line.user <= 99_999 for line in lines)
    texts = source.texts()
    assert all(line.text in texts[line.label] for line in lines)
    assert parsed_lines(window.text(True)) == list(lines)
    unlabelled = [Line(line.date, line.user, line.text) for line in lines]
    assert parsed_lines(window.text()) == unlabelled


def test_a_tenth_of_the_lines_many_users_carry_four_fifths_of_them():
    window = make_window(WORDNET, 131_072, "users")
    n = len(window.lines)
    users = Counter(line.user for line in window.lines)
    common = sum(count for _, count in users.most_common(n // 10))
    assert common / n == pytest.approx(0.8, abs=0.03)


def test_dates_are_spread_evenly():
    window = make_window(WORDNET, 131_072, "dates")
    middle = FIRST_DAY + (LAST_DAY - FIRST_DAY) / 2
    early = sum(line.date < middle for line in window.lines)
    assert early / len(window.lines) == pytest.approx(0.5, abs=0.04)
    days = [line.date for line in window.lines]
    assert max(days) - min(days) > (LAST_DAY - FIRST_DAY) - timedelta(20)


def test_texts_repeat_only_where_there_are_too_few():
    window = make_window(WORDNET, 65_536, "once")
    assert max(Counter(line.text for line in window.lines).values()) == 1
    crowded = make_window(MAILS, 400_000, "often")
    counts = Counter(line.label for line in crowded.lines)
    pool = {label: len(texts) for label, texts in MAILS.texts().items()}
    most = max(-(-counts[label] // pool[label]) for label in pool)
    assert 1 < max(Counter(line.text for line in crowded.lines).values()) <= most


def test_the_order_of_the_lines_says_nothing_of_their_labels():
    lines = make_window(WORDNET, 16_384, "order").lines
    assert [line.text for line in lines] != sorted(line.text for line in lines)
    longest = max(len(run) for run in re.findall(r"(?:a+|b+)", _runs(lines)))
    assert longest < len(lines) / 4


def _runs(lines):
    common = Counter(line.label for line in lines).most_common(1)[0][0]
    return "".join("a" if line.label == common else "b" for line in lines)


@pytest.mark.parametrize("length", [1, 600, 800])
def test_a_length_without_room_is_refused(length):
    with pytest.raises(ConfigurationError, match=r"length=\d+ tokens has room for .* take 846 or"):
        make_window(WORDNET, length, "s1")
    assert len(make_window(WORDNET, 846, "s1").lines) == 10


@given(windows)
@some
def test_every_answer_in_the_asked_form_scores_one(window):
    for question in questions_of(window):
        gold, kind = repr(list(question.gold)), f"ANSWER_TYPE.{question.answer_type}"
        assert oolong_synth(question.answer, gold, kind) == 1.0, question
        assert golds_of(gold) == list(question.gold)


@given(windows)
@some
def test_the_counting_block_counts(window):
    counts = Counter(line.label for line in window.lines)
    for question in counting({label: counts[label] for label in window.labels}):
        if question.task == "NUMERIC_ONE_CLASS":
            label = re.search(r"as label '(.+)'\?", question.text)[1]
            assert question.gold == (counts[label],)
        elif question.task == "RELATIVE_FREQ":
            a, b = re.search(r"is label '(.+?)' more .* as label '(.+?)'\?", question.text).groups()
            assert question.gold[0].startswith(
                "more" if counts[a] > counts[b] else "less" if counts[a] < counts[b] else "same"
            )
        elif question.task == "LEAST_FREQ":
            least = min(counts[label] for label in window.labels)
            assert set(question.gold) == {n for n in window.labels if counts[n] == least}
        else:
            assert question.gold == (counts.most_common(1)[0][0],)


def test_shares_that_are_close_but_not_equal_are_not_compared():
    tasks = Counter(q.task for q in counting({"a": 500, "b": 499, "c": 1}))
    assert tasks == {"LEAST_FREQ": 1, "RELATIVE_FREQ": 2, "NUMERIC_ONE_CLASS": 3}
    tasks = Counter(q.task for q in counting({"a": 500, "b": 500, "c": 40}))
    assert tasks == {"LEAST_FREQ": 1, "RELATIVE_FREQ": 3, "NUMERIC_ONE_CLASS": 3}
    assert CLOSE == 0.02


def test_a_label_without_lines_can_be_the_least_common():
    least = next(q for q in counting({"a": 3, "b": 0, "c": 0}) if q.task == "LEAST_FREQ")
    assert least.gold == ("b", "c")
    assert least.answer == "Label: b"


def test_no_label_counts_no_questions():
    assert list(counting({})) == []


def asked(window, group, task, kind):
    return [
        q for q in questions_of(window) if (q.group, q.task, q.answer_type) == (group, task, kind)
    ]


@given(windows)
@some
def test_user_questions(window):
    users = Counter(line.user for line in window.lines).most_common()
    named = [q for q in asked(window, "user", "MOST_FREQ", "USER") if "label" not in q.text]
    assert bool(named) == (len(users) > 1 and users[0][1] > users[1][1])
    if named:
        assert named[0].gold == (users[0][0],)
        second = asked(window, "user", "SECOND_MOST_FREQ", "USER")
        assert bool(second) == (len(users) == 2 or users[1][1] > users[2][1])
    for question in asked(window, "user", "RELATIVE_FREQ", "USER"):
        label, a, b = re.search(r"label (.+): User (\d+) or User (\d+)\?", question.text).groups()
        of = Counter(line.user for line in window.lines if line.label == label)
        assert of[int(a)] >= of[int(b)] + 2
        assert question.gold == (int(a),)
    subset = [q for q in questions_of(window) if q.group == "user" and q.subset]
    ids = {re.search(r"with user IDs (\d+)\. Among instances", q.text)[1] for q in subset}
    assert len(ids) == 1


@given(windows)
@some
def test_timeline_questions(window):
    dates = Counter(line.date for line in window.lines)
    top = dates.most_common()
    most = asked(window, "timeline", "MOST_FREQ", "DATE")
    assert bool(most) == (top[0][1] > top[1][1])
    for question in asked(window, "timeline", "REPRESENTED_N_TIMES", "NUMERIC"):
        n = int(re.search(r"exactly (\d+) times\? Give", question.text)[1])
        assert n == top[3][1]
        assert sum(count >= n for count in dates.values()) <= 50
        assert question.gold == (sum(count == n for count in dates.values()),)
    months = {}
    for line in sorted(window.lines, key=lambda line: line.date):
        key = (line.date.year, line.date.month)
        months.setdefault(key, Counter())[line.label] += 1
    for question in asked(window, "timeline", "RELATIVE_FREQ", "MONTH_YEAR"):
        a, b = re.search(r"label '(.+?) first .* label '(.+?)'\?", question.text).groups()
        first = next(month for month, counts in months.items() if counts[a] > counts[b])
        assert first == next(iter(months))
        assert question.gold == (f"{date(*first, 1):%B %Y}",)
    for question in asked(window, "timeline", "MOST_FREQ", "NUMERIC"):
        label = re.search(r"label '(.+?)' the single", question.text)[1]
        alone = [
            c for c in months.values() if c[label] and all(c[label] > c[o] for o in c if o != label)
        ]
        assert question.gold == (len(alone),)


def test_a_subset_is_named_in_place_of_the_whole():
    for question in questions_of(make_window(WORDNET, 4096, "subset")):
        whole = question.text.startswith("In the above data, ")
        monthly = question.text.startswith(("In which month did", "For how many months"))
        assert question.subset == question.text.startswith("For the following question, only")
        assert whole + monthly + question.subset == 1


def test_all_kinds_of_questions_are_asked():
    found = {
        (q.group, q.task, q.answer_type)
        for number in range(150)
        for q in questions_of(make_window(WORDNET, 4096, str(number)))
    }
    counting_block = [
        *(("MOST_FREQ", "LABEL"), ("LEAST_FREQ", "LABEL")),
        *(("RELATIVE_FREQ", "COMPARISON"), ("NUMERIC_ONE_CLASS", "NUMERIC")),
    ]
    assert found == {
        *((group, *kind) for group in ("counting", "user", "timeline") for kind in counting_block),
        *(("user", task, "USER") for task in ("MOST_FREQ", "SECOND_MOST_FREQ", "RELATIVE_FREQ")),
        *(("timeline", task, "DATE") for task in ("MOST_FREQ", "SECOND_MOST_FREQ")),
        ("timeline", "REPRESENTED_N_TIMES", "NUMERIC"),
        ("timeline", "RELATIVE_FREQ", "MONTH_YEAR"),
        ("timeline", "RELATIVE_FREQ", "NUMERIC"),
        ("timeline", "MOST_FREQ", "NUMERIC"),
    }


@pytest.mark.parametrize(
    ("gold", "kind", "expected"),
    [
        ("spam", "LABEL", "Label: spam"),
        (12, "NUMERIC", "Answer: 12"),
        (14512, "USER", "User: 14512"),
        (date(2023, 1, 6), "DATE", "Date: 01/06/2023"),
        ("October 2022", "MONTH_YEAR", "Answer: October 2022"),
        ("more common than", "COMPARISON", "Answer: more common than"),
    ],
)
def test_answers_have_the_asked_form(gold, kind, expected):
    assert answer_text(gold, kind) == expected


def test_published_lines_are_read():
    text = "Date: Sep 06, 2023 || User: 14512 || Instance: a || b: c || Label: human being\n"
    assert parsed_lines(text) == [Line(date(2023, 9, 6), 14512, "a || b: c", "human being")]


FRAME = (
    "In the above data, list all pairs of user IDs (no duplicate pairs, list lower ID first) {}. "
    "Each of the questions can be labelled as one of the labels (the data does not provide the "
    "labels, you need to figure out the label from the semantics of the question): description and "
    "abstract concept, entity, human being, numeric value, location, abbreviation. In your answer, "
    "list all pairs in the format (user_id_1, user_id_2), separated by newlines."
)


@pytest.mark.parametrize(
    ("number", "condition"),
    [
        (1, "where both users have at least one instance with a numeric value or location"),
        (
            5,
            "where both users have at least one instance with an entity or numeric value, and all "
            "instances that are an entity for both users must be before March 15, 2023",
        ),
        (
            11,
            "such that one user has at least one instance with entity and one with abbreviation, "
            "and the other user has exactly one instance with entity",
        ),
        (
            14,
            "such that one user has at least one instance with human being and at least one "
            "instance with numeric value, and the other user has exactly two instances with "
            "location",
        ),
        (
            20,
            "such that one user has at least one instance with numeric value and at least one "
            "instance with human being, and the other user has at least one instance with location,"
            " at least one instance with entity, and exactly one instance with abbreviation",
        ),
    ],
)
def test_queries_have_the_papers_words(number, condition):
    query = QUERIES[number - 1]
    assert query.number == number
    assert query.text(TREC_LABELS, "question") == FRAME.format(condition)


def test_there_are_twenty_queries():
    assert [query.number for query in QUERIES] == list(range(1, 21))
    assert len({query.text(TREC_LABELS, "question") for query in QUERIES}) == 20


DAY = date(2023, 3, 1)


def people(**users):
    """Lines from one string of letters a user."""
    return [
        Line(DAY, number, "", TREC_LABELS[LETTERS.index(letter)])
        for number, letters in enumerate(users.values(), 1)
        for letter in letters
    ]


@pytest.mark.parametrize(
    ("number", "users", "expected"),
    [
        (1, {"a": "N", "b": "L", "c": "D"}, [(1, 2)]),
        (11, {"a": "EA", "b": "E", "c": "EE"}, [(1, 2)]),
        (11, {"a": "EA", "b": "EA"}, [(1, 2)]),
        (12, {"a": "LH", "b": "NN", "c": "N"}, [(1, 2)]),
        (14, {"a": "HN", "b": "LL", "c": "LLL"}, [(1, 2)]),
        (19, {"a": "LLE", "b": "DA", "c": "DDA"}, [(1, 2)]),
        (17, {"a": "NLD"}, []),  # nobody is paired with themselves
    ],
)
def test_pairs_of_users(number, users, expected):
    assert QUERIES[number - 1].pairs(people(**users), TREC_LABELS) == expected


def test_dates_are_strict_and_hold_where_there_is_nothing_to_date():
    label = dict(zip(LETTERS, TREC_LABELS, strict=True))
    query = QUERIES[3]  # H or L, H after Jan 6 2023

    def of(user, letter, day):
        return Line(day, user, "", label[letter])

    after, on = date(2023, 1, 7), date(2023, 1, 6)
    lines = [of(1, "H", after), of(2, "L", on), of(3, "H", on), of(4, "H", after), of(4, "H", on)]
    assert query.pairs(lines, TREC_LABELS) == [(1, 2)]


@given(windows)
@some
def test_pairs_by_brute_force(window):
    if window.source is not WORDNET:
        return
    users = sorted({line.user for line in window.lines})
    has = {user: Counter(x.label for x in window.lines if x.user == user) for user in users}
    d, e, h, n, place, a = WORDNET.labels

    def fits(first, second):  # query 16: D≥1, H≥1 / E≥2, A=1
        one, other = has[first], has[second]
        return one[d] >= 1 and one[h] >= 1 and other[e] >= 2 and other[a] == 1

    expected = [(x, y) for x, y in combinations(users, 2) if fits(x, y) or fits(y, x)]
    assert QUERIES[15].pairs(window.lines, WORDNET.labels) == expected
    both = [x for x in users if has[x][n] or has[x][place]]
    assert QUERIES[0].pairs(window.lines, WORDNET.labels) == list(combinations(both, 2))
