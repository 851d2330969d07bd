"""The public schema of events is the one in the docs; what older versions wrote stays readable."""

import json
from pathlib import Path

import pytest
from scenarios import scenarios

from rlm_dspy.events import Event, as_json, kinds, parsed, schema

DOCS = Path(__file__).parents[2] / "docs"
KINDS = [member.model_fields["kind"].default for member in kinds()]


def test_the_documented_schema_is_that_of_the_code():
    assert json.loads((DOCS / "events.schema.json").read_text()) == json.loads(json.dumps(schema()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_documented(kind):
    assert f"| `{kind}` |" in (DOCS / "events.md").read_text()


def test_events_come_back_from_json_as_they_were():
    for event in scenarios()["tools"].run().run.events:
        again = parsed(as_json(event))
        assert type(again) is type(event)
        assert as_json(again) == as_json(event)


def test_fields_that_came_later_have_a_default():
    old = '{"kind": "planned", "at": 1.5, "step": 1, "reasoning": "", "code": "x"}'
    assert parsed(old).clock == 0.0
    assert parsed(old).run == ""


def test_a_kind_of_a_newer_version_is_a_bare_event():
    event = parsed('{"kind": "dreamt", "at": 2.0, "step": 3, "run": "", "of": "sheep"}')
    assert type(event) is Event
    assert (event.kind, event.at, event.step) == ("dreamt", 2.0, 3)


def test_a_broken_one_is_an_error():
    with pytest.raises(ValueError, match="code"):
        parsed('{"kind": "planned", "at": 1.5, "step": 1}')
