"""Runs side by side: only over the same examples, with all that kept examples from an answer."""

from dataclasses import replace
from pathlib import Path

import pytest
from dspy.lm15 import ServerError
from measured import data, run, saying

from eval.compare import comparison, paired, read_runs
from eval.oracle import SIMULATED, oracle_lm
from eval.plot import draw
from eval.purse import Bill
from eval.report import HEAD, by_length, cells, run_report
from rlm_dspy import ConfigurationError
from rlm_dspy.testing import ScriptedLM

PNG = b"\x89PNG\r\n\x1a\n"


def wrong_up_to(number):
    def reply(asked):
        return saying(asked) if int(saying(asked)) >= number else "something else"

    return ScriptedLM(reply, num_retries=0)


def test_every_run_is_compared_with_the_first(tmp_path):
    given = data(tmp_path, 10)
    for name, wrong in (("a", 8), ("b", 1), ("c", 8)):
        run(tmp_path, wrong_up_to(wrong), name, given=given)
    runs = read_runs([tmp_path / name for name in "abc"])
    text = comparison(runs)
    assert "| a | 10 | 0.200 [0.000, 0.500] |" in text
    assert "| b − a | 10 | +0.700 [+0.400, +1.000] | 7 | 0 | 0.0156 |" in text
    assert "| c − a | 10 | +0.000 [+0.000, +0.000] | 0 | 0 | 1 |" in text
    assert paired(runs[0], runs[1]).is_gain
    assert SIMULATED not in text


def test_breakdowns_and_time_outs_stay_out_and_are_told(tmp_path):
    def breaking(asked):
        return ServerError("overloaded") if saying(asked) == "3" else saying(asked)

    given = data(tmp_path, 8)
    run(tmp_path, wrong_up_to(0), "a", given=given)
    run(tmp_path, ScriptedLM(breaking, num_retries=0), "b", given=given)
    text = comparison(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert "| b | 8 | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] | 0 | 0 | 1 | 0 |" in text
    assert "| b − a | 7 |" in text
    assert "| b | infrastructure | LMServerError: " in text


def test_examples_over_one_context_are_resampled_together(tmp_path):
    given = data(tmp_path, 12, contexts=2)
    for name, wrong in (("a", 12), ("b", 0)):
        run(tmp_path, wrong_up_to(wrong), name, given=given)
    text = comparison(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert "Over fewer than 6 contexts no difference can be significant: b − a." in text


def test_only_pairs_over_too_few_contexts_are_called_so(tmp_path):
    run(tmp_path, wrong_up_to(0), "a")
    run(tmp_path, ScriptedLM([ServerError("down")], num_retries=0), "b")
    run(tmp_path, wrong_up_to(3), "c")
    text = comparison(read_runs([tmp_path / name for name in "abc"]))
    assert "no difference can be significant: b − a." in text
    assert "| c − a | 6 |" in text


def test_other_examples_are_refused(tmp_path):
    run(tmp_path, wrong_up_to(0), "a", given=data(tmp_path, 6))
    run(tmp_path, wrong_up_to(0), "b", given=data(tmp_path, 5))
    with pytest.raises(ConfigurationError, match="over different examples \\(5 of 6 and 5 are"):
        read_runs([tmp_path / "a", tmp_path / "b"])


def test_the_same_ids_with_other_texts_are_other_examples(tmp_path):
    run(tmp_path, wrong_up_to(0), "a", given=data(tmp_path, 6))
    run(tmp_path, wrong_up_to(0), "b", given=data(tmp_path, 6, contexts=3))
    with pytest.raises(ConfigurationError, match="over different examples \\(3 of 6"):
        read_runs([tmp_path / "a", tmp_path / "b"])


def test_the_same_examples_by_another_metric_are_other_examples(tmp_path):
    run(tmp_path, wrong_up_to(0), "a", given=data(tmp_path, 6))
    run(tmp_path, wrong_up_to(0), "b", given=data(tmp_path, 6, metric="ruler"))
    with pytest.raises(ConfigurationError, match="over different examples \\(0 of 6"):
        read_runs([tmp_path / "a", tmp_path / "b"])


def test_answers_without_an_official_score_are_counted(tmp_path):
    given = data(tmp_path, 3, metric="oolong_real")
    for name in "ab":
        run(tmp_path, ScriptedLM(lambda _: rf"\boxed{{{'9' * 400}}}"), name, given=given)
    runs = read_runs([tmp_path / "a", tmp_path / "b"])
    told = "no score, counted as 0 | The official code raises OverflowError"
    assert f"| b | {told}" in comparison(runs)
    assert f"| {told}" in run_report(runs[0].start, runs[0].records)
    assert "no score: " not in comparison(runs)


def test_many_lengths_share_rows():
    assert by_length([4_096, 2_048, 4_096]) == {"2,048": [2_048], "4,096": [4_096]}
    rows = by_length([1, 5, 6, 9, 10, 11, 12, 13, 31])
    assert list(rows) == ["1 to 1", "4 to 7", "8 to 15", "16 to 31"]
    assert [len(some) for some in rows.values()] == [1, 2, 5, 1]


def test_the_limits_of_both_runs_are_told(tmp_path):
    given = data(tmp_path, 2)
    run(tmp_path, wrong_up_to(0), "a", given=given, seconds=5)
    run(tmp_path, wrong_up_to(0), "b", given=given, seconds=500)
    text = comparison(read_runs([tmp_path / "a", tmp_path / "b"]))
    assert "ended by the limit of 5 or 500 s" in text


def test_a_median_between_is_said_as_it_is(tmp_path):
    row = cells([replace(r, bill=Bill(n)) for n, r in enumerate(run(tmp_path, wrong_up_to(0)))])
    assert row[HEAD.index("calls")] == "2.5 / 4.5"


def test_what_is_no_run_is_refused(tmp_path):
    run(tmp_path, wrong_up_to(0), "a")
    with pytest.raises(ConfigurationError, match="There is no run in"):
        read_runs([tmp_path / "a", tmp_path / "none"])
    with pytest.raises(ConfigurationError, match="two runs or more"):
        read_runs([tmp_path / "a"])


def test_a_simulated_table_is_headed_so_and_drawn(tmp_path):
    given = data(tmp_path, 6)
    run(tmp_path, wrong_up_to(3), "a", given=given)
    run(tmp_path, oracle_lm([]), "b", given=given)
    runs = read_runs([tmp_path / "a", tmp_path / "b"])
    assert comparison(runs).startswith(SIMULATED)
    picture = tmp_path / "pictures" / "compared.png"
    assert draw(runs, picture.with_suffix("")) == picture
    assert picture.read_bytes().startswith(PNG)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("x.notpng", "x.notpng: '.notpng' is no kind of picture. Give another .png file"),
        ("", "'a folder' is no kind of picture"),
        ("run/results.jsonl/x.png", "results.jsonl/x.png: .*exists"),
    ],
)
def test_a_picture_that_cannot_be_written_is_refused(tmp_path, name, told):
    run(tmp_path, wrong_up_to(0), given=data(tmp_path, 1))
    with pytest.raises(ConfigurationError, match=told):
        draw(read_runs([tmp_path / "run"] * 2), tmp_path / name)


def test_a_run_is_named_by_its_folder_however_that_is_written(tmp_path, monkeypatch):
    for name in "ab":
        run(tmp_path, wrong_up_to(0), name)
    monkeypatch.chdir(tmp_path / "a")
    assert [found.name for found in read_runs([Path(), Path("../b")])] == ["a", "b"]


def test_runs_without_any_score_are_compared_and_drawn(tmp_path):
    given = data(tmp_path, 3)
    for name in "ab":
        run(tmp_path, ScriptedLM([ServerError("down")], num_retries=0), name, given=given)
    runs = read_runs([tmp_path / "a", tmp_path / "b"])
    assert "| b − a | 0 | – | 0 | 0 |" in comparison(runs)
    draw(runs, tmp_path / "compared.png")
