"""A browser, where there is one, and how a test shows a page in it."""

import pytest

from bench.chromium import Chromium, find
from rlm_dspy.view.html import page

DESKTOP = (1280, 860)


@pytest.fixture(scope="session")
def chromium():
    command = find()
    if command is None:
        pytest.skip("no Chromium")
    with Chromium(command) as browser:
        yield browser


@pytest.fixture
def shown(chromium, tmp_path):
    """Shows events in the browser; what the page did beside that is looked at after the test."""

    def show(events, size=DESKTOP, at="", dark=False, **about):
        file = tmp_path / "run.html"
        file.write_text(page(events, **about), encoding="utf-8")
        chromium.screen(*size, dark=dark, phone=size[0] < 800)
        chromium.open("about:blank")
        chromium.told.clear()
        chromium.open(file.as_uri() + at)
        return chromium

    yield show
    chromium.evaluate("0")  # what the page has reported until now is read with its answer
    told = chromium.told
    assert [said for said in told if said[0] in ("Runtime.exceptionThrown", "Log.entryAdded")] == []
    asked = [said["request"]["url"] for name, said in told if name == "Network.requestWillBeSent"]
    assert len(asked) <= 1
    assert all(url.startswith("file:///") for url in asked)
