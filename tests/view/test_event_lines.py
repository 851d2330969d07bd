"""A run's events as lines of JSON."""

import json
import threading

from rlm_dspy.events import Executed, Planned
from rlm_dspy.view.event_lines import EventLines

EVENTS = [Planned(reasoning="", code="print(1)", step=1), Executed(output="é\n2", step=1)]


def test_each_event_is_one_line_and_all_are_written():
    written = []
    lines = EventLines(written.append)
    with lines.writing():
        for event in EVENTS:
            lines.listen(event)
    assert all("\n" not in line for line in written)
    assert [json.loads(line) for line in written] == [e.model_dump(mode="json") for e in EVENTS]


def test_who_reads_slowly_does_not_hold_up_the_run():
    read = threading.Event()
    lines = EventLines(lambda line: read.wait(20))
    with lines.writing():
        for event in EVENTS:
            lines.listen(event)
        read.set()  # reached, though nothing was read


def test_what_json_does_not_have_is_written_as_text():
    written = []
    lines = EventLines(written.append)
    with lines.writing():
        lines.listen(Executed(output="", submitted={"a": object}, outcome="submit"))
    assert json.loads(written[0])["submitted"] == {"a": str(object)}
