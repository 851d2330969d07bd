"""Prompts and replies as a page's data: each text once, and all of it can be read again."""

from hypothesis import given
from hypothesis import strategies as st

from rlm_dspy.events import Charged, Planned
from rlm_dspy.view.exchanges import packed, recorded

texts = st.sampled_from(["", "a", "b", "a long shared instruction", "\ud800"])
messages = st.lists(st.fixed_dictionaries({"role": texts, "content": texts}), max_size=4)
exchange = st.fixed_dictionaries({"messages": messages, "reply": texts, "model": texts})
owners = st.tuples(
    st.sampled_from(["", "1"]), st.sampled_from(["step", "query"]), st.integers(0, 9)
)


@given(st.dictionaries(owners, st.lists(exchange, max_size=3), max_size=5))
def test_each_text_is_kept_once_and_found_again(exchanges):
    found = packed(exchanges)
    kept = found["texts"]
    assert len(set(kept)) == len(kept)
    again = {
        (owner["run"], owner["kind"], owner["number"]): [
            {
                "messages": [{"role": r, "content": kept[text]} for r, text in made["messages"]],
                "reply": kept[made["reply"]],
                "model": made["model"],
            }
            for made in owner["made"]
        ]
        for owner in found["of"]
    }
    assert again == exchanges


def test_what_is_no_text_is_named_by_its_kind():
    content = [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "x"}}]
    said = [{"role": "user", "content": content}, {"role": "tool", "content": None}]
    found = packed({("", "query", 1): [{"messages": said, "reply": "A ship."}]})
    assert found["texts"] == ["Look:\n(image_url)", "", "A ship."]


def charge(role, **more):
    return Charged(role=role, model="m", **more)


def test_a_record_says_whom_each_attempt_was_made_for():
    events = [
        charge("plan", step=1, error="RateLimited"),
        charge("plan", step=1, prompt_tokens=9),
        Planned(reasoning="", code="x = 1", step=1),
        charge("sub_query", step=1, query=3),
        charge("sub_query", step=1, query=3, run="2"),
        charge("extract", step=1, cache_hit=True),
    ]
    asked = [{"role": "user", "content": "q"}]
    both = [{"text": "yes", "reasoning_content": "hm"}]
    said = {5: (asked, ["end"]), 0: (asked, None), 1: (asked, ["plan"]), 3: (asked, both),
            4: (asked, ["a", "b"]), 9: (asked, ["of no event"])}  # fmt: skip
    found = recorded(events, said)
    replies = {owner: [made["reply"] for made in attempts] for owner, attempts in found.items()}
    assert replies == {
        ("", "step", 1): ["", "plan", "end"],
        ("", "query", 3): ["hm\n\nyes"],
        ("2", "query", 3): ["a\n\nb"],
    }
    first, second, last = found["", "step", 1]
    assert (first["error"], second["prompt_tokens"], last["cache_hit"]) == ("RateLimited", 9, True)
