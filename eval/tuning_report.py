"""The report of a tuning: both programs on the test split, the gain, the bill, the prompts."""

import shlex
from pathlib import Path
from typing import Any

from bench.tables import table
from eval.records import Record
from eval.report import HEAD, bracketed, cells, difference_cells, heading, labels_right, legend
from eval.stats import FEWEST_CONTEXTS, difference
from eval.tuned import Plan, Tuned


def tuning_report(tuned: Tuned, out: Path) -> str:
    """The report as Markdown.

    Args:
        tuned: What the tuning came to.
        out: Where the winner is, if it was saved.
    """
    plan, settings = tuned.plan, tuned.start["settings"]
    rows = [["before", *cells(tuned.before, missing=plan.test - len(tuned.before))]]
    if tuned.after:
        rows.append(["after", *cells(tuned.after, missing=plan.test - len(tuned.after))])
    parts = [
        heading([tuned.start]),
        f"{settings['program']} on {settings['task']} with {settings['lm']}, tuned by "
        f"{plan.optimizer}{_helped(plan)}: {plan.train} examples to learn from, {plan.val} to "
        f"choose by, {plan.test} to judge by; no two parts share a context.",
        table(["test split", *HEAD], rows),
        *_gain(tuned),
        *_labels(tuned.before, tuned.after),
        _verdict(tuned, out),
        _search(tuned),
        legend([tuned.start]),
    ]
    if tuned.diff:
        parts.append(f"The prompts:\n\n````diff\n{tuned.diff}\n````")
    return "\n\n".join(parts) + "\n"


def _helped(plan: Plan) -> str:
    """The models that helped to tune."""
    rewrites = plan.optimizer != "bootstrap"  # which makes demos alone
    named = (("demos", plan.teacher), ("instructions", plan.reflection_lm if rewrites else None))
    told = [f"{what} by {getattr(lm, 'model', lm)}" for what, lm in named if lm is not None]
    return f" ({', '.join(told)})" if told else ""


def _gain(tuned: Tuned) -> list[str]:
    if tuned.gain is None:
        return []
    head = ["pairs", "gain, time-outs as 0", "better", "worse", "McNemar's p"]
    return [table(head, [difference_cells(tuned.gain)])]


def _labels(before: list[Record], after: list[Record]) -> list[str]:
    """How many labels sub-queries got right, before and after, and the paired gain."""
    told = [f"Labels by sub-queries, {name}: {text}" for name, text in _told(before, after)]
    shares = [
        {r.id: r.labels["right"] / r.labels["asked"] for r in some if r.labels}
        for some in (before, after)
    ]
    if set(shares[0]) & set(shares[1]):
        contexts = {record.id: record.context_id for record in before}
        gain = difference(shares[0], shares[1], contexts)
        told.append(
            f"The paired gain of an example's share over {gain.n} examples is {gain.mean:+.3f} "
            f"{bracketed(gain.interval, '+')}.".replace(" .", ".")
        )
    return ["  \n".join(told)] if told else []


def _told(before: list[Record], after: list[Record]) -> list[tuple[str, str]]:
    found = (("before", labels_right(before)), ("after", labels_right(after)))
    return [(name, text) for name, text in found if text]


def _verdict(tuned: Tuned, out: Path) -> str:
    if not tuned.diff:
        return "The optimizer changed nothing: nothing is saved."
    if not tuned.saved:
        gain = tuned.gain
        assert gain is not None
        why = "its interval does not lie above zero"
        if gain.n < tuned.plan.test:
            why = f"only {gain.n} of {tuned.plan.test} examples have a score before and after"
        elif gain.contexts < FEWEST_CONTEXTS:
            why = f"over {gain.contexts} contexts (fewer than {FEWEST_CONTEXTS}) none can be shown"
        return f"The gate refuses the gain: {why}. Nothing is saved."
    gate = "" if tuned.plan.gate else ", without the gate"
    settings = tuned.start["settings"]
    return (
        f"Saved to {out}{gate}. The same measurement again:\n\n"
        f"    uv run --all-extras python -m eval {shlex.join(_again(settings, out))}"
    )


def _again(settings: dict[str, Any], out: Path) -> list[str]:
    """The arguments that measure the winner again."""
    planned = {None: [], True: ["--plan"], False: ["--recipe"]}[settings["planned"]]
    return [
        *("run", settings["task"], "--program", settings["program"], *planned),
        *(*_models(settings), "--load", str(out), "--same-as", str(out.with_suffix("") / "after")),
        *("--budget-seconds", str(settings["seconds"]), "--out", "FOLDER"),
    ]


def _models(settings: dict[str, Any]) -> list[str]:
    """The models' options; a simulated model's name begins with what its option does not say."""
    lm, sub_lm = (settings[name].removeprefix("simulated/") for name in ("lm", "sub_lm"))
    return ["--lm", lm, *(["--sub-lm", sub_lm] if sub_lm != lm else [])]


def _search(tuned: Tuned) -> str:
    search, bill = tuned.search, tuned.search.bill
    limit = f" It ended at its limit of {search.refused}." if search.refused else ""
    error = f" The optimizer stopped with {search.error}." if search.error else ""
    if search.troubles:
        error += f" No model answered {search.troubles} requests, the first for {search.trouble}."
    measured = sum(record.bill.dollars for record in [*tuned.before, *tuned.after])
    return (
        f"The search took {search.seconds:.0f} s, {bill.calls:,} calls and {bill.tokens:,} tokens "
        f"and cost ${bill.dollars:.4f}; the measurements cost ${measured:.4f}.{limit}{error}"
    )
