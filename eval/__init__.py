"""Measuring programs: tasks, scorers, metrics and a simulated planner; `python -m eval` runs them.

A package of the repository, run from a clone. It uses only the public names of `rlm_dspy`.
"""
