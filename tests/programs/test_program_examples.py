"""Every program's docstring holds an example, which runs as it says."""

import doctest
import importlib
import pkgutil

import dspy
import pytest

import programs

MODULES = [
    found.name
    for found in pkgutil.walk_packages(programs.__path__, "programs.")
    if found.name not in ("programs.recipes", "programs.baselines")
]


@pytest.mark.parametrize("name", MODULES)
def test_the_example_runs_as_it_says(name):
    ran = doctest.testmod(importlib.import_module(name))
    assert ran.attempted
    assert not ran.failed


def test_every_program_takes_the_same_inputs():
    for name in programs.PROGRAMS:
        module = programs.build(name)
        assert isinstance(module, dspy.Module)
        assert module.named_predictors()
