"""When finalizers of model code run."""

import gc

import pytest

from rlm_dspy.repl.garbage import Garbage


@pytest.fixture
def switched_off():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class Cycle:
    def __init__(self, ended):
        self.me, self.ended = self, ended

    def __del__(self):
        self.ended.append(gc.isenabled())


@pytest.mark.usefixtures("switched_off")
def test_what_a_step_leaves_behind_is_collected_before_it_is_over():
    ended = []
    with Garbage().of_a_step():
        Cycle(ended)
    assert ended == [True]
    assert not gc.isenabled()


@pytest.mark.usefixtures("switched_off")
def test_it_is_off_after_a_step_that_raises():
    with pytest.raises(ValueError, match="x"), Garbage().of_a_step():
        raise ValueError("x")
    assert not gc.isenabled()


def test_where_it_is_on_it_stays_as_it_is():
    with Garbage().of_a_step():
        assert gc.isenabled()
    assert gc.isenabled()
