"""What honest data-analysis code does, through the whole REPL with every layer of isolation on."""

import pytest
from benign_rows import ROWS, echo
from dspy.primitives.code_interpreter import CodeExecutionError

from rlm_dspy.repl import RestrictedInterpreter
from rlm_dspy.repl.interpreter import Submitted


def rows():
    """This project's own rows are in the fast run of `test_namespace`, without a process each."""
    for row in ROWS:
        own = row["id"].startswith("n-")
        yield pytest.param(row, id=row["id"], marks=[pytest.mark.slow] if own else [])


@pytest.mark.parametrize("row", list(rows()))
def test_honest_code_gives_what_plain_python_gives(row):
    tools = {"llm_query": echo, "llm_query_batched": lambda prompts: [echo(p) for p in prompts]}
    shown, failed, submitted = "", {}, []
    with RestrictedInterpreter(tools) as repl:
        for number, step in enumerate(row["steps"]):
            try:
                result = repl.execute(step, {"context": row["context"]})
            except (CodeExecutionError, SyntaxError) as error:
                shown += getattr(error, "output", "")
                failed[number] = getattr(error, "error_type", type(error).__name__)
                continue
            if isinstance(result, Submitted):
                shown += result.printed
                submitted.append(result.output["output"])
            else:
                shown += result or ""
    assert shown == row["expect_stdout"]
    expected = {row["error_step"]: row["expect_error"]} if "expect_error" in row else {}
    assert failed == expected
    assert submitted == ([row["expect_submit"]] if "expect_submit" in row else [])
