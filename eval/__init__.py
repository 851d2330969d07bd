"""Measuring and tuning programs: `python -m eval` runs, compares and optimizes them on tasks.

Tasks and scorers say what is right, trials what became of one example, the runner and its ledger
keep a run that can be killed, accounts what it cost.

A package of the repository, run from a clone. It uses only the public names of `rlm_dspy`,
and what keeps keys out of records.
"""
