"""The scorers, rule by rule: expected values are those of the official code."""

import copy
import math
import pickle
from difflib import SequenceMatcher

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.scorers import (
    Unscored,
    browsecomp_judge,
    graphwalks,
    longbench_v2,
    mrcr,
    oolong_pairs,
    oolong_real,
    oolong_synth,
    ruler,
    ruler_postprocess,
)
from rlm_dspy import ConfigurationError

DATE = "[datetime.date(2023, 1, 6)]"
LABELS = ["LABEL", "USER", "MONTH_YEAR", "COMPARISON"]
texts = st.text(max_size=60)


def synth(candidate, gold, kind="LABEL", variant="official"):
    return oolong_synth(candidate, gold, f"ANSWER_TYPE.{kind}", variant)


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        # Without a colon: whole below 20 code points, else the last word.
        ("spam", "['spam']", 1.0),
        (" spam", "['spam']", 0.0),
        ("*spam*", "['spam']", 0.0),
        ("[spam]", "['spam']", 0.0),
        ("The label is spam", "['spam']", 0.0),
        ("I believe that the label is spam", "['spam']", 1.0),
        ("I believe that the label is **spam**", "['spam']", 0.0),
        ("I believe that the label is spam.", "['spam']", 0.0),
        ("I believe that the label is human being", "['human being']", 0.0),
        ("aaaaaaaaaaaaaa spam", "['spam']", 0.0),  # 19
        ("aaaaaaaaaaaaaaa spam", "['spam']", 1.0),  # 20
        ("éééééééééééééé spam", "['spam']", 0.0),  # 19 code points in 33 bytes
        # With one: what follows the last, stripped, then without stars and brackets.
        ("Label: spam", "['spam']", 1.0),
        ("Label: human being", "['human being']", 1.0),
        ("Label: **spam**", "['spam']", 1.0),
        ("Label: [spam]", "['spam']", 1.0),
        ("Label: ** spam", "['spam']", 0.0),
        ("**Label:** spam", "['spam']", 0.0),
        ("Label: s*p*am", "['spam']", 1.0),
        ("Label: spam (note: unsure)", "['spam']", 0.0),
        ("Label: spam\nDone at 12:30", "['spam']", 0.0),
        ("Label: spam\nThat is all", "['spam']", 0.0),
        ("Label：spam", "['spam']", 0.0),
        ("Label:\u00a0spam", "['spam']", 1.0),
        ("Label:\u200bspam", "['spam']", 0.0),
        ("Label: Spam", "['spam']", 0.0),
        ("Label: spam.", "['spam']", 0.0),
        ("```Label: spam```", "['spam']", 0.0),
        ('{"Label": "spam"}', "['spam']", 0.0),
        # A gold with a star can be met only without a colon.
        ("a*b", "['a*b']", 1.0),
        ("Label: a*b", "['a*b']", 0.0),
        # Of golds that tie the first counts.
        ("Label: ham", "['ham', 'spam']", 1.0),
        ("Label: spam", "['ham', 'spam']", 0.0),
    ],
)
def test_synth_texts(candidate, gold, expected):
    assert synth(candidate, gold) == expected


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        ("more common", "['more common than']", 1.0),
        ("more common than", "['more common than']", 1.0),
        ("more common than", "['more common']", 0.0),
        ("the same frequency", "['same frequency as']", 0.0),
        ("same frequency", "['same frequency as']", 1.0),
        ("same frequency", "['the same frequency']", 1.0),
        ("Answer: spam is more common than ham", "['more common than']", 1.0),
        ("Answer: spam is more common than ham", "['more common']", 1.0),
        ("Answer: spam is less common than ham", "['more common than']", 0.0),
        # Mapped in the order more, less, same, from 20 characters on.
        ("Answer: less common, not more common", "['more common than']", 1.0),
        ("Answer: x less common than", "['less common than']", 0.0),  # 18 characters
        ("Answer: xyz less common than", "['less common than']", 1.0),  # 20
        ("Answer: is less common", "['less common']", 0.0),
        # A phrase is not looked for without a colon.
        ("I think that spam is more common than ham", "['more common than']", 0.0),
    ],
)
def test_synth_comparisons(candidate, gold, expected):
    assert synth(candidate, gold, "COMPARISON") == expected


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        ("12", "[12]", 1.0),
        ("Answer: 12", "[12]", 1.0),
        ("Answer: 10", "[12]", 0.5625),
        ("Answer: 13", "[12]", 0.75),
        ("The answer is 12", "[12]", 0.0),
        ("I believe the answer is 12", "[12]", 1.0),
        ("Answer: +12", "[12]", 1.0),
        ("Answer: 012", "[12]", 1.0),
        ("Answer: 1_2", "[12]", 1.0),
        ("Answer: ** 12", "[12]", 1.0),
        ("Answer: 1*2", "[12]", 1.0),
        ("Answer: １２", "[12]", 1.0),
        ("Answer: ١٢", "[12]", 1.0),
        ("Answer: 12.0", "[12]", 0.0),
        ("Answer: 12.", "[12]", 0.0),
        ("Answer: 1,234", "[1234]", 0.0),
        ("Answer: ²", "[2]", 0.0),
        ("Answer: 12", "[12.7]", 1.0),
        ("Answer: spam is more common than ham", "[12]", 0.0),
        ("Answer: 2588", "[0]", 5e-324),
        ("Answer: 2988", "[0]", 0.0),
        ("Answer: " + "9" * 400, "[12]", 0.0),
        ("Answer: " + "9" * 4400, "[12]", 0.0),
        ("Answer:", "[12]", 0.0),
    ],
)
def test_synth_numbers(candidate, gold, expected):
    assert synth(candidate, gold, "NUMERIC") == expected


@pytest.mark.parametrize("kind", LABELS)
def test_partial_credit_is_for_numbers_only(kind):
    assert synth("User: 44107", "[44106]", kind) == 0.0
    assert synth("User: 44106", "[44106]", kind) == 1.0
    assert synth("User: 44106.", "[44106]", kind) == 0.0
    assert synth("Answer: Oct 2022", "['October 2022']", kind) == 0.0


@pytest.mark.parametrize(
    ("candidate", "expected"),
    [
        ("Date: 01/06/2023", 1.0),
        ("Date: 1/6/23", 1.0),
        ("Date: 2023-01-06", 1.0),
        ("Date: January 6, 2023", 1.0),
        ("Date: 6th of January 2023", 1.0),
        ("Date: Monday, January 6, 2023", 1.0),  # it was a Friday
        ("Date: [01/06/2023]", 1.0),
        ("Date: ０1/06/2023", 1.0),
        ("Date: 06/01/2023", 0.0),
        ("Date: January 6, 2023 (Friday)", 0.0),
        ("Date: the 6th of January 2023", 0.0),
        ("Date: January 6, 2023 10am", 0.0),
        ("Date: January 6, 2023 12am", 1.0),
        ("Date: January 6, 2023 12am UTC", 0.0),
        ("Date: January 6, 2023 12am XYZ", 1.0),  # a zone that is not known is ignored
        ("Date: January 6, 2023 UTC", 0.0),
        ("datetime.date(2023, 1, 6)", 0.0),
        ("Date: nonsense", 0.0),
    ],
)
def test_synth_dates(candidate, expected):
    score = synth(candidate, DATE, "DATE")
    assert score == expected
    assert not isinstance(score, Unscored)


def test_the_day_comes_first_when_the_first_number_is_over_twelve():
    assert synth("Date: 13/02/2023", "[datetime.date(2023, 2, 13)]", "DATE") == 1.0


@pytest.mark.parametrize(
    "candidate",
    ["Date: January 6", "Date: January 2023", "Date: Friday", "Date: 10am", "Date: Feb 29"],
)
@pytest.mark.parametrize("variant", ["official", "rlm_env"])
def test_a_part_of_a_date_is_not_scored(candidate, variant):
    score = synth(candidate, DATE, "DATE", variant)
    assert isinstance(score, Unscored)
    assert "today" in score.reason


@pytest.mark.parametrize(
    ("candidate", "gold", "kind"),
    [
        (" " * 20, "['spam']", "LABEL"),
        ("spam", "[]", "LABEL"),
        ("spam", "spam", "LABEL"),
        ("spam", "12", "NUMERIC"),
        ("Date: 01/06/2023", "[datetime.date(2023, 1, 6), datetime.date(2023, 1, 7)]", "DATE"),
        ("datetime", "['datetime']", "LABEL"),
    ],
)
def test_where_the_official_code_raises_there_is_no_score(candidate, gold, kind):
    score = synth(candidate, gold, kind)
    assert score == 0.0
    assert isinstance(score, Unscored)
    assert "raises" in score.reason


def test_an_unscored_is_a_number_that_keeps_its_reason():
    score = synth(" " * 20, "['spam']")
    assert isinstance(score, Unscored)
    for twin in (copy.deepcopy(score), pickle.loads(pickle.dumps(score))):
        assert (twin, twin.reason) == (0.0, score.reason)


@pytest.mark.parametrize(
    ("candidate", "gold", "kind", "expected"),
    [
        ("Label: Spam", "['spam']", "LABEL", 1.0),
        ("not spam", "['spam']", "LABEL", 1.0),
        ("Label: spam, entity", "['spam']", "LABEL", 1.0),
        ("44106, 53021", "[44106]", "USER", 1.0),
        ("more common", "['more common than']", "COMPARISON", 0.0),
        ("more common", "['more common']", "COMPARISON", 1.0),
        ("I think it is the same frequency", "['the same frequency']", "COMPARISON", 1.0),
        ("More Common Than: no, less common than", "['less common than']", "COMPARISON", 1.0),
        ("less common than, or: more common than", "['less common than']", "COMPARISON", 0.0),
        ("Answer: 13", "[12]", "NUMERIC", 0.75),
        ("Answer: about 12", "[12]", "NUMERIC", 0.0),
        ("Date: Jan 6, 2023", DATE, "DATE", 1.0),
        ("it says spam", "spam", "LABEL", 1.0),  # a gold that is no literal is used as it is
        ("anything", "['']", "LABEL", 0.0),
    ],
)
def test_synth_rlm_env(candidate, gold, kind, expected):
    assert synth(candidate, gold, kind, "rlm_env") == expected


@given(texts, st.sampled_from(["spam", "human being", "a b c"]))
def test_a_right_label_in_the_asked_form_always_scores(before, label):
    for variant in ("official", "rlm_env"):
        assert synth(f"{before}Label: {label}", repr([label]), "LABEL", variant) == 1.0


@given(st.integers(-3000, 3000), st.integers(-3000, 3000))
def test_a_number_scores_by_its_distance(said, right):
    assert synth(f"Answer: {said}", f"[{right}]", "NUMERIC") == math.pow(0.75, abs(said - right))


@given(st.text(max_size=80), st.sampled_from([*LABELS, "NUMERIC", "DATE"]))
def test_any_text_has_a_score(candidate, kind):
    for variant in ("official", "rlm_env"):
        assert 0.0 <= synth(candidate, "['spam']", kind, variant) <= 1.0


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        (r"\boxed{84}", "84", 1.0),
        (r"\boxed{\text{84}}", "84", 1.0),
        (r"\boxed{1} then \boxed{84}", "1", 1.0),
        (r"\boxed{1} then \boxed{\text{84}}", "84", 1.0),
        (r"\boxed{{84}}", "84", 1.0),
        (r"\boxed {84}", "84", 0.0),
        (r"\boxed{84", "84", 0.0),
        (r"\boxed{80}", "84", 0.75**4),
        ("84", "84", 0.0),
        ("Fireball", "fireball", 1.0),
        (" FIREBALL ", "Fireball", 1.0),
        (r"\boxed{Fireball}", "fireball ", 1.0),
        (r"\boxed{Fireball}", "84", 0.0),
        (r"\boxed{b, a}", "a, b", 1.0),
        (r"\boxed{a, b, c, d}", "a, b", 1.0),
        (r"\boxed{a}", "a, b", 0.0),
        (r"\boxed{a,}", "a, b", 0.5),
        (r"\boxed{A, B}", "a, b", 0.0),
        (r"\boxed{a, b}", "a, b, a", 2 / 3),
        (r"\boxed{1,234}", "1,234", 1.0),
        (r"\boxed{Fireball}", "Fireball,", 0.0),
        (r"\boxed{,}", ",", 0.0),
        (rf"\boxed{{{'9' * 4400}}}", "9" * 4400, 1.0),  # too long for an int: a text
    ],
)
def test_real(candidate, gold, expected):
    assert oolong_real(candidate, gold) == expected


def test_a_huge_number_is_not_scored():
    assert isinstance(oolong_real(rf"\boxed{{{'9' * 400}}}", "84"), Unscored)


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        ("(1, 2)", [(1, 2)], 1.0),
        ("(2,1)\n(1, 2)", [[2, 1]], 1.0),
        ("( 1 ,\n2 )", [(1, 2)], 1.0),
        ("(\u00a01, 2)", [(1, 2)], 1.0),
        ("(01, ２)", [(1, 2)], 1.0),
        ("[1, 2]", [(1, 2)], 0.0),
        ("1, 2", [(1, 2)], 0.0),
        ("('1', '2')", [(1, 2)], 0.0),
        ("(User 1, User 2)", [(1, 2)], 0.0),
        ("(1, 2, 3)", [(1, 2)], 0.0),
        ("(-1, 2)", [(1, 2)], 0.0),
        ("(1,000, 2)", [(1000, 2)], 0.0),
        ("（1, 2）", [(1, 2)], 0.0),
        ("(1, 1) (1, 2)", [(1, 2)], 2 / 3),
        ("I first thought (3, 4), but (1, 2)", [(1, 2)], 2 / 3),
        ("", [], 1.0),
        ("", [(1, 2)], 0.0),
        ("(1, 2)", [], 0.0),
        (str([(1, 2), (3, 4)]), [(1, 2), (3, 4)], 1.0),
        (str([[1, 2], [3, 4]]), [(1, 2), (3, 4)], 0.0),
        # 2pr/(p+r) in this order: 2·tp/(|P|+|G|) differs in the last bit.
        ("(1,2)(1,3)(1,4)(1,5)(1,6)", [(1, n) for n in range(2, 6)], 0.888888888888889),
    ],
)
def test_pairs(candidate, gold, expected):
    assert oolong_pairs(candidate, gold) == expected


@pytest.mark.parametrize(
    "gold",
    [
        *([("a", "b")], [("1", "2")], [(1.9, 2)], [(True, 2)], [(1, 2, 3)], ["12"], [12]),
        *("[[1, 2]]", "", {}, {(1, 2): 1}, None),
    ],
)
@pytest.mark.parametrize("candidate", ["(1, 2)", ""])
def test_golds_that_are_no_pairs_of_ints_are_not_scored(candidate, gold):
    assert isinstance(oolong_pairs(candidate, gold), Unscored)


@pytest.mark.parametrize("gold", [[(1, 2)], ((1, 2),), [[2, 1]], {(1, 2)}])
def test_golds_may_be_any_collection_of_pairs(gold):
    assert oolong_pairs("(1, 2)", gold) == 1.0


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        ([(1, 2)], [(1, 2)], 1.0),
        ([[1, 2]], [(1, 2)], 0.0),
        ({"answer": "(1, 2)"}, [(1, 2)], 1.0),
        ({"answer": [(1, 2)]}, [(1, 2)], 1.0),
        ({"pairs": "(1, 2)"}, [(1, 2)], 1.0),
        (None, [], 1.0),
        (None, [(1, 2)], 0.0),
    ],
)
def test_pairs_that_are_no_text_are_read_as_python_prints_them(candidate, gold, expected):
    score = oolong_pairs(candidate, gold)
    assert score == expected
    assert type(score) is float


@pytest.mark.parametrize("nothing", [None, 12, ["spam"], b"spam"])
def test_an_answer_that_is_no_text_is_not_scored(nothing):
    for score in (
        synth(nothing, "['spam']", variant="rlm_env"),
        oolong_real(nothing, "84"),
        oolong_real("84", gold=nothing if nothing != 12 else None),
        ruler([nothing], [["a"]]),
        ruler(["a"], [[nothing]]),
        longbench_v2(nothing, "A"),
        mrcr(nothing, "a", "b"),
        graphwalks(nothing, ["a"]),
    ):
        assert score == 0.0
        assert isinstance(score, Unscored)


pairs = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12)


@given(pairs, pairs)
def test_pairs_do_not_depend_on_order_or_direction(said, gold):
    text = "\n".join(f"({a}, {b})" for a, b in said)
    turned = " ".join(f"({b}, {a})" for a, b in reversed(said))
    score = oolong_pairs(text, gold)
    assert score == oolong_pairs(turned, gold[::-1])
    assert 0.0 <= score <= 1.0
    assert (score == 1.0) == (
        {frozenset(pair) for pair in said} == {frozenset(pair) for pair in gold}
    )


@pytest.mark.parametrize(
    ("candidates", "golds", "match", "expected"),
    [
        (["It is 7."], [["7"]], "all", 100.0),
        (["7"], [["7", "8", "9"]], "all", 33.33),
        (["7"], [["7", "8", "9"]], "part", 100.0),
        (["7", "none"], [["7", "8", "9"], ["1"]], "all", 16.67),
        (["1234567"], [["345"]], "all", 100.0),
        (["Not seven"], [["SEVEN"]], "all", 100.0),
        (["anything"], [[""]], "all", 100.0),
        (["STRASSE"], [["straße"]], "all", 0.0),
        (["\u212a"], [["k"]], "all", 100.0),  # the Kelvin sign
        (["7", "8"], [["7"]], "all", 50.0),
        (["7"], [["7"], ["8"]], "all", 100.0),
        # Rounded on the batch: rows of 1/8 sum to 0.125, not to 0.12 each.
        (["a"], [list("abcdefgh")], "all", 12.5),
        (["a"] * 8, [["a", *"bcdefgh" * 100]] * 8, "all", 0.14),
    ],
)
def test_ruler(candidates, golds, match, expected):
    assert ruler(candidates, golds, match) == expected


@pytest.mark.parametrize("match", ["all", "part"])
def test_rows_without_golds_are_not_scored(match):
    assert isinstance(ruler(["a", "b"], [["a"], []], match), Unscored)
    assert isinstance(ruler([], [], match), Unscored)


def test_ruler_turns_control_characters_into_newlines():
    assert ruler_postprocess(" \x01a\tb\x7f\x1f ") == "a\nb\x7f"


@given(st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=4)), min_size=1, max_size=5))
def test_ruler_part_is_never_below_all(rows):
    candidates, golds = [said for said, _ in rows], [gold for _, gold in rows]
    assert 0 <= ruler(candidates, golds) <= ruler(candidates, golds, "part") <= 100


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        ("The correct answer is (A)", "A", 1.0),
        ("The correct answer is A", "A", 1.0),
        ("**The correct answer is (A)**", "A", 1.0),
        ("The correct answer is **(A)**", "A", 1.0),
        ("The correct answer is B, no: The correct answer is (A)", "A", 1.0),
        ("The correct answer is (B). The correct answer is (A)", "A", 0.0),
        ("The correct answer is Apple", "A", 1.0),
        ("The correct answer is Because", "B", 1.0),
        ("The correct answer is (E)", "A", 0.0),
        ("the correct answer is (A)", "A", 0.0),
        ("The correct answer is: (A)", "A", 0.0),
        ("The correct answer is  (A)", "A", 0.0),
        ("A", "A", 0.0),
        ("", "A", 0.0),
    ],
)
def test_longbench(candidate, gold, expected):
    assert longbench_v2(candidate, gold) == expected


@pytest.mark.parametrize(
    ("candidate", "gold", "expected"),
    [
        ("XYZa poem", "XYZa poem", 1.0),
        (" XYZa poem", "XYZa poem", 0.0),
        ("a poem", "XYZa poem", 0.0),
        ("XYZ", "XYZ", 1.0),
        ("XYZXYZa", "XYZa", 0.4),
        # 200 code points of one letter: none of them can start a match.
        ("XYZ" + "a" * 200, "XYZ" + "a" * 200, 1.0),
        ("XYZ" + "b" + "a" * 200, "XYZ" + "a" * 200, 0.0),
        ("XYZ" + "b" + "a" * 199, "XYZ" + "a" * 199, 0.9974937343358395),
    ],
)
def test_mrcr(candidate, gold, expected):
    assert mrcr(candidate, gold, "XYZ") == expected


@given(texts, texts)
def test_mrcr_is_the_ratio_in_this_order(said, right):
    assert mrcr(f"P{said}", f"P{right}", "P") == SequenceMatcher(None, said, right).ratio()


@pytest.mark.parametrize(
    ("candidate", "gold", "card", "intended"),
    [
        ("Final Answer: [a, b]", ["a", "b"], 0.5, 1.0),
        ("Final Answer: [b, a]", ["a", "b"], 0.5, 1.0),
        ("Final Answer:[a, b]", ["a", "b"], 0.5, 1.0),
        ("Final Answer:  [a, b]", ["a", "b"], 1.0, 0.0),
        ("Final Answer: [a]", ["a"], 1.0, 1.0),
        ("Final Answer: [c]", ["a"], 1.0, 0.0),
        ("Final Answer: []", [], 1.0, 1.0),
        ("Final Answer: []", ["a"], 1.0, 0.0),
        ("Final Answer: [a]", [], 1.0, 0.0),
        ("nothing", ["a"], 1.0, 0.0),
        ("nothing", [], 1.0, 0.0),
        ("Final Answer: [a, b]\n", ["a", "b"], 1.0, 0.0),
        ("Final Answer: [x]\nFinal Answer: [y, a]", ["a", "b"], 0.5, 0.5),
        ("Final Answer: [z, a, ]", ["a", "b"], 0.5, 0.5),
        ("Final Answer: [z, a] or [b]", ["a", "b"], 1.0, 0.0),
        ("Final Answer: [z, a]", ["a", "b", "b"], 0.5, 0.5),
        ("Final Answer: ['a', b]", ["a", "b"], 0.5, 0.5),
    ],
)
def test_graphwalks(candidate, gold, card, intended):
    assert graphwalks(candidate, gold) == card
    assert graphwalks(candidate, gold, "intended") == intended


nodes = st.lists(st.sampled_from("abcdefgh"), max_size=6)


@given(nodes, nodes)
def test_graphwalks_intended_is_one_only_for_equal_sets(said, gold):
    score = graphwalks(f"So:\nFinal Answer: [{', '.join(said)}]", gold, "intended")
    assert 0.0 <= score <= 1.0
    assert (score == 1.0) == (set(said) == set(gold))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("correct: yes", True),
        ("Correct: NO", False),
        ("**correct:** yes", True),
        ("**correct**: no", False),
        ("correct: no\n**correct:** yes", True),
        ("**correct**: no\n**correct:** yes", True),
        ("incorrect: yes", True),
        ("correct: yesterday", True),
        ("correct: not sure", False),
        ("the response says correct: no\ncorrect: yes", False),
        ("correct: **yes**", None),
        ('correct: "yes"', None),
        ('{"correct": "yes"}', None),
        ("_correct_: yes", None),
        ("", None),
        (None, None),
    ],
)
def test_browsecomp_judge(text, expected):
    assert browsecomp_judge(text) is expected


@pytest.mark.parametrize(
    "call",
    [
        lambda: oolong_synth("a", "['a']", "ANSWER_TYPE.LABEL", "other"),
        lambda: ruler(["a"], [["a"]], "some"),
        lambda: graphwalks("a", ["a"], "other"),
        lambda: graphwalks(None, ["a"], "other"),
    ],
)
def test_an_unknown_variant_is_refused(call):
    with pytest.raises(ConfigurationError, match="is neither"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: oolong_synth("Answer: 12", "[12]"),
        lambda: mrcr("x", "x"),
        lambda: ruler(preds=["x"], golds=[["x"]]),
        lambda: graphwalks("a", ["a"], kind="intended"),
    ],
)
def test_a_wrong_call_is_no_score(call):
    with pytest.raises(TypeError):
        call()


def test_a_reason_is_the_same_each_time():
    first, second = synth("x", "spam"), synth("x", "spam")
    assert "ValueError: malformed node" in first.reason
    assert first.reason == second.reason
    assert " at 0x" not in first.reason


@pytest.mark.parametrize(
    "score",
    [
        synth("spam", "['spam']"),
        synth("more common", "['more common than']", "COMPARISON"),
        synth("Date: 01/06/2023", DATE, "DATE"),
        oolong_real("a", "a"),
        oolong_pairs("", []),
        ruler(["a"], [["a"]]),
        longbench_v2("", "A"),
        mrcr("", "", ""),
        graphwalks("", []),
    ],
)
def test_scores_are_floats(score):
    assert type(score) is float
