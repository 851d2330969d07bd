"""A made-up run, small enough to know by heart."""


def asked(query, step, at, until, value, **more):
    """A sub-query of a run, from its start to its answer."""
    about = {"run": "", "step": step, "query": query, **more}
    charge = {"kind": "charged", "role": "sub_query", "model": "m/small", "error": "", **about}
    used = {"prompt_tokens": 100 * query, "completion_tokens": 10, "cached_tokens": 0}
    kind = "ask" if query > 20 else "ask_each"
    question = "What is the rule?" if query > 20 else "Which kind?"
    ended = {"kind": "sub_query_answered", "value": value, "missing": {}, "seconds": until - at}
    if isinstance(value, Exception):
        ended = {"kind": "sub_query_failed", "error": "ProviderError", "reason": str(value)}
    return [
        {"kind": "sub_query_started", "at": at, "operator": kind, "question": question,
         "characters": 300, "items": 1, **about},
        {"at": until, "dollars": 0.001, "cache_hit": False, "estimated": False, **charge, **used},
        {"at": until, **ended, **about},
    ]  # fmt: skip


def exchanges_of_three_steps():
    """What the planner and some sub-queries of that run were asked, and what they said."""
    system = {"role": "system", "content": "You write Python."}
    asked = {"role": "user", "content": "query: What is the rule?"}
    turns = [system, asked]
    steps = {}
    for number, output in enumerate(["20 lines", "ZeroDivisionError", ""], 1):
        plan = f"Plan {number}."
        told = {"model": "m/large", "role": "plan", "prompt_tokens": 100 * number}
        steps["", "step", number] = [{"messages": list(turns), "reply": plan, **told}]
        turns += [{"role": "assistant", "content": plan}, {"role": "user", "content": output}]
    read = [{"role": "user", "content": "Which kind?\nThe seventh line."}]
    failed = {"messages": read, "reply": "", "role": "sub_query", "error": "ProviderError"}
    return {
        **steps,
        ("", "query", 7): [failed, {**failed, "reply": "too late", "cache_hit": True}],
        ("1", "query", 30): [{"messages": read, "reply": "Ask first."}],
    }


def run_of_three_steps():
    """A run of three steps: 20 sub-queries of which one fails, an error, and a sub-run."""
    spend = {"steps": 4, "calls": 30, "planner_tokens": 900, "sub_tokens": 21_310,
             "dollars": 0.4, "seconds": 9.5}  # fmt: skip
    events = [
        {"kind": "run_started", "at": 0.0, "signature": "context, query -> answer",
         "inputs": {}, "model": "m/large", "sub_model": "m/small", "planned_by": "model",
         "limits": {"calls": 40, "dollars": 0.5, "concurrency": 8}},
        {"kind": "planned", "at": 1.0, "step": 1, "seconds": 1.0, "reasoning": "One question each.",
         "code": "# first\nkinds = ask_each('Which kind?', lines)\nprint('a \\'b\\' c', 12)"},
        *(event for number in range(1, 21)
          for event in asked(number, 1, 1 + (number - 1) // 5, 2 + (number - 1) // 5,
                             ValueError("503") if number == 7 else f"kind {number}")),
        {"kind": "executed", "at": 6.0, "step": 1, "output": "20 lines", "outcome": "ok",
         "seconds": 5.0},
        {"kind": "planned", "at": 6.5, "step": 2, "seconds": 0.5, "reasoning": "", "code": "1 / 0"},
        {"kind": "executed", "at": 6.6, "step": 2, "output": "ZeroDivisionError",
         "outcome": "error", "seconds": 0.1},
        {"kind": "planned", "at": 7.0, "step": 3, "seconds": 0.4, "reasoning": "",
         "code": "rule = rlm_query('What is the rule?', context)\nSUBMIT(answer=rule)"},
        {"kind": "sub_query_started", "at": 7.1, "step": 3, "query": 21, "operator": "rlm_query",
         "question": "What is the rule?", "characters": 9_000, "items": 1},
        {"kind": "run_started", "at": 7.2, "run": "1", "signature": "context, query -> answer",
         "inputs": {}, "model": "m/large", "sub_model": "m/small", "planned_by": "model",
         "limits": {}, "query": 21},
        {"kind": "planned", "at": 7.5, "step": 1, "run": "1", "seconds": 0.3, "reasoning": "",
         "code": "print(ask('What is the rule?', context))"},
        *asked(30, 1, 7.6, 8.4, "Ask first.", run="1"),
        {"kind": "executed", "at": 8.5, "step": 1, "run": "1", "output": "Ask first.",
         "outcome": "ok", "seconds": 1.0},
        {"kind": "run_ended", "at": 8.6, "step": 1, "run": "1", "status": "completed",
         "reason": "", "spend": {}},
        {"kind": "sub_query_answered", "at": 8.7, "step": 3, "query": 21,
         "value": {"answer": "Ask first."}, "missing": {}, "seconds": 1.6},
        {"kind": "executed", "at": 9.0, "step": 3, "output": "", "outcome": "submit",
         "seconds": 2.0},
        {"kind": "submitted", "at": 9.0, "step": 3, "accepted": True, "error": "",
         "outputs": {"answer": "Ask first."}},
        {"kind": "run_ended", "at": 9.5, "step": 3, "status": "completed", "reason": "",
         "spend": spend},
    ]  # fmt: skip
    events.sort(key=lambda event: event["at"])
    return [{"step": 0, "run": "", **event} for event in events]
