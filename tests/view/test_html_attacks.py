"""Hostile texts in every field of a run, in a real browser: nothing of them runs, all is shown."""

import pytest
from hostile import HOSTILE, coverage_with, events_with, exchanges_with

pytestmark = pytest.mark.slow

# What the page itself never has.
FOREIGN = (
    "img, image, svg, math, iframe, object, embed, a, form, link, base, video, audio, marquee, "
    "template, details, textarea, x, [onerror], [onload], [onfocus], [srcdoc], [style*=fixed]"
)
# The text of every item's page, from the first row to the last.
EVERY = """(() => {
  const pages = [];
  let before;
  do {
    before = location.hash;
    pages.push(document.getElementById("article").textContent);
    document.getElementById("next").click();
  } while (location.hash !== before);
  return pages;
})()"""
# Of a run with the texts: itself, 2 sub-runs, 4 steps, a group, 4 sub-queries, the ending, and the
# documents.
ITEMS = 14


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:40])
def test_nothing_hostile_runs(shown, text):
    browser = shown(
        events_with(text),
        title=text,
        coverage=coverage_with(text),
        exchanges=exchanges_with(text),
    )
    pages = browser.evaluate(EVERY)
    assert len(pages) == ITEMS
    browser.press("/", *(char for char in text[:12] if char.isprintable()), "Enter", "f", "o", "t")
    browser.evaluate("new Promise((done) => setTimeout(done, 100))")
    assert browser.evaluate("typeof window.hacked") == "undefined"
    assert browser.evaluate(f"document.querySelectorAll({FOREIGN!r}).length") == 0
    assert browser.evaluate("document.scripts.length") == 2
    if text.isprintable():
        assert text in browser.evaluate("document.title")
        assert text in browser.evaluate("document.querySelector('h1').textContent")
        assert len([said for said in pages if text in said]) >= ITEMS - 2
