"""A session with a seed and step times: the same programs print the same, in every process."""

import re
from pathlib import Path

import pytest

from rlm_dspy.dspy_errors import CodeFailed
from rlm_dspy.errors import ConfigurationError
from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.repl.launch import Executor, stop_servers

CORPUS = Path(__file__).parent / "corpus" / "reproducible.txt"
NOON = 1_700_000_000.25
FRUITS = ["fig", "pear", "apple", "kiwi", "plum", "lemon", "cherry", "quince", "grape", "peach"]


def programs():
    """Name, what it depends on ("random", "clock" or neither), and steps of each program.

    One begins with "### name" or "### name (random clock)"; "---" parts its steps.
    """
    found = {}
    for block in re.split(r"^### ", CORPUS.read_text(), flags=re.M)[1:]:
        head, _, code = block.partition("\n")
        name, _, needs = head.rstrip(")").partition(" (")
        found[name] = (needs.split(), re.split(r"^---\n", code, flags=re.M))
    return found


PROGRAMS = programs()


def outcome(repl, step, variables):
    try:
        return repl.execute(step, variables)
    except CodeFailed as error:
        return str(error)


def shown(order=FRUITS, time=NOON, **options):
    """What each program prints, in one session.

    Args:
        order: In which the given set is made.
        time: Of the first step; each later one begins 10 ms after the one before.
        options: Of the interpreter.
    """
    found = {}
    with RestrictedInterpreter({"listed": lambda: {*order}}, **options) as repl:
        for name, (_, steps) in PROGRAMS.items():
            found[name] = []
            for step in steps:
                repl.step_time = time
                time = time and time + 0.01
                found[name].append(outcome(repl, step, {"given": {*order}}))
    return found


@pytest.fixture(scope="module")
def first():
    return shown(seed=7)


@pytest.fixture(scope="module")
def executed():
    return shown(FRUITS[::-1], seed=7, _launcher=Executor())


@pytest.fixture(scope="module")
def otherwise():
    return shown(seed=8, time=NOON + 1)


@pytest.fixture(scope="module")
def free():
    return shown(time=None)


def test_programs_end_as_they_mean_to(first):
    at_a_line = re.compile(r"^line \d+: ", re.M)
    failed = [name for name, printed in first.items() if at_a_line.search("\n".join(printed))]
    assert failed == ["draws-of-many-steps"]


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_same_seed_and_times_give_the_same_output(name, first, executed):
    assert first[name] == executed[name]


@pytest.mark.slow
def test_another_fork_server_makes_no_difference(first):
    stop_servers()
    assert shown(FRUITS[::-1], seed=7) == first


@pytest.mark.parametrize("name", [name for name, (needs, _) in PROGRAMS.items() if needs])
def test_another_seed_and_time_or_none_give_another(name, first, otherwise, free):
    differ = name not in ("a-loop-until-a-time",)  # says how long, not when
    assert (first[name] != otherwise[name]) is differ
    assert first[name] != free[name]
    assert otherwise[name] != free[name]


@pytest.mark.parametrize("name", [name for name, (needs, _) in PROGRAMS.items() if not needs])
def test_order_and_zone_need_neither_seed_nor_time(name, first, free):
    assert first[name] == free[name]


DRAW = "import random, secrets, uuid\nprint(random.random(), secrets.token_hex(3), uuid.uuid4())"
LOST = DRAW + "\nwhile True: pass"


def test_what_a_lost_step_drew_is_drawn_again():
    with RestrictedInterpreter(seed=3, step_seconds=0.3) as repl:
        printed = [repl.execute(DRAW)]
        with pytest.raises(CodeFailed, match="rolled back") as caught:
            repl.execute(LOST)
        printed.append(repl.execute(DRAW))
    with RestrictedInterpreter(seed=3) as repl:
        assert [repl.execute(DRAW), repl.execute(DRAW)] == printed
    assert caught.value.output == printed[1]


@pytest.mark.parametrize(
    "options", [{}, pytest.param({"_launcher": Executor()}, marks=pytest.mark.slow)]
)
def test_a_session_that_is_started_anew_draws_from_the_start(options):
    with RestrictedInterpreter(seed=3, step_seconds=0.3, **options) as repl:
        with pytest.raises(CodeFailed, match="started anew") as caught:
            repl.execute(LOST)
        assert repl.execute(DRAW) == caught.value.output


def test_branches_go_on_alike():
    with RestrictedInterpreter(seed=3) as repl, repl.branch() as early:
        repl.step_time = NOON
        begun = repl.execute(DRAW)
        with repl.branch() as late:
            assert late.step_time == NOON
            both = DRAW + "\nimport time\nprint(time.time(), time.monotonic())"
            assert late.execute(both) == repl.execute(both)
        assert early.step_time is None
        assert early.execute(DRAW) == begun


def test_clocks_that_never_go_back_do_not_whatever_the_times_given():
    read = "import time\nprint(time.monotonic(), time.perf_counter(), time.process_time())"
    seen = []
    with RestrictedInterpreter() as repl:
        for repl.step_time in (NOON, NOON - 100, None, NOON + 50, 0, None):
            seen.append([float(word) for word in repl.execute(read).split()])
    for clock in zip(*seen, strict=True):
        assert list(clock) == sorted(clock)
        assert clock[0] >= NOON


@pytest.mark.parametrize("time", [-1, float("nan"), float("inf"), 253_402_300_800, "0"])
def test_a_time_that_no_date_has_is_refused(time):
    repl = RestrictedInterpreter()
    repl.step_time = time
    with pytest.raises(ConfigurationError, match="step_time="):
        repl.execute("1")


@pytest.mark.parametrize("seed", ["7", 1.5, True])
def test_a_seed_is_an_integer(seed):
    with pytest.raises(ConfigurationError, match="seed="):
        RestrictedInterpreter(seed=seed)
