"""The verdict of BrowseComp-Plus's judge.

Source: `parse_judge_response` of texttron/BrowseComp-Plus `scripts_evaluation/evaluate_run.py`
(MIT).
"""

import re

# In this order, each over the whole text: bold beats an earlier plain one.
_VERDICTS = [
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\*\*correct:\*\*\s*(yes|no)",
        r"\*\*correct\*\*:\s*(yes|no)",
        r"correct:\s*(yes|no)",
    )
]


def browsecomp_judge(text: str | None) -> bool | None:
    r"""Reads the verdict out of a judge's reply.

    Args:
        text: The reply, whole.

    Returns:
        Whether the judge calls the answer correct; None where it gives no verdict.

    Example:
        >>> browsecomp_judge("reasoning: the same city\ncorrect: yes")
        True
    """
    for verdict in _VERDICTS:
        if match := verdict.search(text or ""):
            return match[1].lower() == "yes"
    return None
