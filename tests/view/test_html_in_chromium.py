"""The HTML page in a real browser: what is drawn, and what keys and clicks do."""

import pytest
from made_run import exchanges_of_three_steps, run_of_three_steps

from bench.viewer import made, said_in

pytestmark = pytest.mark.slow

PHONE = (390, 844)


def text_of(browser, selector):
    return browser.evaluate(f"document.querySelector({selector!r}).innerText")


def rows(browser):
    """The names of the rows on the screen, each with what stands beside it."""
    read = (
        "[...document.querySelectorAll('.row')].map((row) => row.innerText.split('\\n').join(' '))"
    )
    return browser.evaluate(read)


def chosen(browser):
    return browser.evaluate("document.querySelector('[aria-selected=true]').innerText").split("\n")


def heading(browser):
    return text_of(browser, "article h2")


def settled(browser):
    """Waits until a search that was typed has been done."""
    browser.evaluate("new Promise((done) => setTimeout(done, 150))")


def test_the_head_says_how_it_ended_and_what_was_spent_of_the_limits(shown):
    browser = shown(run_of_three_steps(), title="What is the rule?")
    assert text_of(browser, "h1") == "completed What is the rule?"
    meters = browser.evaluate(
        "[...document.querySelectorAll('#meters div')].map((m) => m.innerText)"
    )
    assert [" ".join(meter.split()) for meter in meters] == [
        "steps 4", "calls 30 of 40", "tokens 22,210", "cost $0.40 of $0.50", "time 9.50 s",
    ]  # fmt: skip
    assert browser.evaluate("document.title") == "What is the rule?"


def test_the_tree_holds_steps_sub_queries_and_sub_runs(shown):
    browser = shown(run_of_three_steps())
    assert [" ".join(row.split()) for row in rows(browser)] == [
        "▾ Run context, query -> answer ✕ 2 24k $0.021 9.50 s",
        "▾ Step 1 kinds = ask_each('Which kind?', lines) ✕ 1 21k $0.020 6.00 s",
        "▸ ask_each ×20 Which kind? ✕ 1 21k $0.020 4.00 s",
        "Step 2 1 / 0 ✕ 600 ms",
        "▾ Step 3 rule = rlm_query('What is the rule?', context) 3.0k $0.0010 2.40 s",
        '▾ #21 rlm_query What is the rule? → {"answer": "Ask first."} 3.0k $0.0010 1.60 s',
        "▾ Step 1 print(ask('What is the rule?', context)) 3.0k $0.0010 1.30 s",
        "#30 ask What is the rule? → Ask first. 3.0k $0.0010 800 ms",
    ]


def test_a_run_can_be_read_from_top_to_bottom(shown):
    browser = shown(run_of_three_steps())
    read = text_of(browser, "article")
    parts = [
        *("Ask first.", "Spend", "Step 1", "One question each.", "kinds = ask_each"),
        *("ask_each ×20", "1 failed", "20 lines", "Step 2", "1 / 0", "ZeroDivisionError"),
        *("Step 3", "Submitted"),
    ]
    places = [read.index(part) for part in parts]
    assert places == sorted(places)


def test_a_sub_query_says_what_was_asked_answered_and_spent(shown):
    browser = shown(run_of_three_steps(), at="#query-5")
    assert heading(browser) == "ask_each #5"
    read = text_of(browser, "article")
    for said in ("1.00 s", "1 call", "510 tokens", "$0.0010", "m/small", "300 characters",
                 "Which kind?", "kind 5"):  # fmt: skip
        assert said in read


def test_a_failure_says_why(shown):
    browser = shown(run_of_three_steps(), at="#query-7")
    assert "ProviderError: 503" in text_of(browser, "article .problem")
    assert chosen(browser)[:2] == ["#7", "ProviderError: 503"]
    assert "✕" in chosen(browser)


def said(browser):
    """The messages that are shown, each with its role."""
    read = "[...document.querySelectorAll('.said')].map((said) => said.innerText)"
    return [" ".join(message.split()) for message in browser.evaluate(read)]


def test_a_sub_query_shows_the_prompt_and_the_reply_of_each_attempt(shown):
    exchanges = exchanges_of_three_steps()
    browser = shown(run_of_three_steps(), at="#query-7", exchanges=exchanges)
    read = text_of(browser, "article")
    parts = ["Attempt 1: prompt", "The seventh line.", "Attempt 1: reply", "ProviderError",
             "Attempt 2: prompt", "from the cache", "Attempt 2: reply", "too late"]  # fmt: skip
    places = [read.index(part, read.index("Attempts")) for part in parts]
    assert places == sorted(places)
    assert said(browser) == ["user Which kind? The seventh line."]
    browser = shown(run_of_three_steps(), at="#1-query-30", exchanges=exchanges)
    assert said(browser) == ["user Which kind? The seventh line."]
    assert "Reply\nAsk first." in text_of(browser, "article").replace("\n\n", "\n")


def test_a_step_shows_what_its_prompt_adds_and_the_rest_when_asked(shown):
    browser = shown(run_of_three_steps(), at="#step-1", exchanges=exchanges_of_three_steps())
    assert said(browser) == ["system You write Python.", "user query: What is the rule?"]
    browser = shown(run_of_three_steps(), at="#step-3", exchanges=exchanges_of_three_steps())
    added = ["assistant Plan 2.", "user ZeroDivisionError"]
    assert said(browser) == added
    browser.evaluate("document.querySelector('article .more').click()")
    assert said(browser) == [
        "system You write Python.", "user query: What is the rule?",
        "assistant Plan 1.", "user 20 lines", *added,
    ]  # fmt: skip


def test_a_search_finds_prompts_where_they_stand_first(shown):
    browser = shown(run_of_three_steps(), exchanges=exchanges_of_three_steps())
    for words, number in {"you write python": 1, "the seventh line": 1, "plan 2": 1}.items():
        browser.press("/", "Escape", "/", *words)
        settled(browser)
        assert text_of(browser, "#found") == f"{number} of 28"


def test_what_the_answer_quotes_is_marked_in_the_documents(shown):
    text = "No dogs.\nAsk first, then touch.\nNo cats."
    events = run_of_three_steps()
    quote = {"quote": "ask first", "source": None, "how": "normalised", "ratio": 1.0,
             "variable": "context", "document": "rules.txt", "path": None, "start": 29, "end": 38,
             "offset": 9, "line": 2, "text": "Ask first"}  # fmt: skip
    made_up = {**quote, "how": "unverified", "quote": "never", "document": None, "offset": None,
               "start": None, "end": None, "line": None, "text": None, "source": "x"}  # fmt: skip
    events[-2]["outputs"] = {"answer": "Ask.", "citations": [quote, made_up]}
    coverage = [{"title": "other.txt", "characters": 5},
                {"title": "rules.txt", "characters": len(text), "text": text}]  # fmt: skip
    browser = shown(events, coverage=coverage)
    read = "[...document.querySelectorAll('.sources li')].map((source) => source.innerText)"
    assert [source.split("\n") for source in browser.evaluate(read)] == [
        ["rules.txt:2", "Ask first", "normalised"], ["x", "never", "unverified"],
    ]  # fmt: skip
    browser.evaluate("document.querySelector('.sources button').click()")
    assert heading(browser) == "rules.txt"
    # Not `innerText`, which is empty until the browser has drawn the part.
    cited = browser.evaluate("document.querySelector('.part .cited').textContent")
    assert cited == "Ask first"
    assert "quoted in the answer" in text_of(browser, ".strips")
    del coverage[1]["text"]
    browser = shown(events, at="#document-2", coverage=coverage)
    assert "Ask first\nline 2" in text_of(browser, "article").replace("\n\n", "\n")


def test_a_step_shows_the_tools_that_it_called(shown):
    events = run_of_three_steps()
    call = {"kind": "tool_called", "at": 6.55, "step": 2, "run": "", "tool": "harbour_of",
            "recorded": True, "error": "", "reason": "", "seconds": 0.02}  # fmt: skip
    bad = {"value": None, "error": "KeyError", "reason": "'Heron'"}
    events[-11:-11] = [{**call, "value": "Lisbon"}, {**call, **bad}]
    browser = shown(events, at="#step-2")
    read = text_of(browser, "article .grid")
    assert [row.split("\t") for row in read.split("\n")[1:]] == [
        ["harbour_of", "Lisbon", "20 ms"], ["harbour_of", "KeyError: 'Heron'", "20 ms"],
    ]  # fmt: skip


def test_code_has_line_numbers_and_colours(shown):
    browser = shown(run_of_three_steps(), at="#step-1")
    source = "# first\nkinds = ask_each('Which kind?', lines)\nprint('a \\'b\\' c', 12)"
    assert browser.evaluate("document.querySelector('article code').textContent") == source
    assert text_of(browser, ".lines").split() == ["1", "2", "3"]
    read = "[...document.querySelectorAll('code span')].map((s) => [s.className, s.textContent])"
    spans = browser.evaluate(read)
    assert spans == [
        ["comment", "# first"], ["asks", "ask_each"], ["string", "'Which kind?'"],
        ["string", "'a \\'b\\' c'"], ["number", "12"],
    ]  # fmt: skip


def test_keys_move_open_and_close(shown):
    browser = shown(run_of_three_steps())
    browser.press("j", "ArrowDown")
    assert heading(browser) == "ask_each ×20"
    browser.press("l")
    assert chosen(browser)[0] == "▾"
    browser.press("ArrowRight", "j", "j")
    assert heading(browser) == "ask_each #3"
    browser.press("k")
    assert heading(browser) == "ask_each #2"
    browser.press("h")
    assert heading(browser) == "ask_each ×20"
    browser.press("ArrowLeft")
    assert chosen(browser)[0] == "▸"
    browser.press("G")
    assert heading(browser) == "ask #30"
    browser.press("g")
    assert chosen(browser)[1] == "Run"
    assert browser.evaluate("location.hash") == "#run"


def test_keys_find_failures_wherever_they_are(shown):
    browser = shown(run_of_three_steps())
    browser.press("n")
    assert heading(browser) == "ask_each #7"
    browser.press("n")
    assert heading(browser) == "Step 2"
    browser.press("n")
    assert heading(browser) == "Step 2"
    browser.press("N")
    assert heading(browser) == "ask_each #7"
    browser.press("Enter", " ", "Escape")
    assert heading(browser) == "ask_each #7"
    assert browser.evaluate("document.activeElement.id") == "tree"


def test_help_names_every_key(shown):
    browser = shown(run_of_three_steps())
    browser.press("?")
    assert browser.evaluate("document.getElementById('keys').open")
    keys = browser.evaluate("[...document.querySelectorAll('#keys th')].map((k) => k.innerText)")
    assert {key for row in keys for key in row.split()} == {
        *"jkhlgGnNfot/?", "↓", "↑", "→", "←", "space", "Enter",
    }  # fmt: skip
    before = heading(browser)
    browser.press("j", "Escape")
    assert not browser.evaluate("document.getElementById('keys').open")
    assert heading(browser) == before


def test_search_finds_and_marks_and_is_cleared(shown):
    browser = shown(run_of_three_steps())
    browser.press("/", *"KIND 1")
    settled(browser)
    assert text_of(browser, "#found") == "11 of 28"
    assert len(rows(browser)) == 3 + 11
    browser.press("Enter")
    assert heading(browser) == "ask_each #1"
    assert browser.evaluate("CSS.highlights.get('found').size") >= 11
    browser.press("j")
    assert heading(browser) == "ask_each #10"
    browser.press("/", "Escape")
    assert text_of(browser, "#found") == ""
    assert browser.evaluate("CSS.highlights.get('found').size") == 0
    assert heading(browser) == "ask_each #10"


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("steps", ["Run", "Step 1", "Step 2", "Step 3", "#21", "Step 1"]),
        ("failed", ["Run", "Step 1", "ask_each", "#7", "Step 2"]),
    ],
)
def test_filters(shown, filter_, names):
    browser = shown(run_of_three_steps())
    browser.evaluate(f"document.querySelector('[data-filter={filter_}]').click()")
    read = "[...document.querySelectorAll('.row .name')].map((name) => name.innerText)"
    assert browser.evaluate(read) == names


def test_sub_queries_can_be_ordered_by_what_they_cost(shown):
    events = run_of_three_steps()
    for event in events:
        if event["kind"] == "charged" and event["query"] == 13:
            event["dollars"] = 0.1
    browser = shown(events, at="#query-1")
    browser.press("o", "o")
    assert browser.evaluate("document.getElementById('order').value") == "dearest"
    browser.press("h", "l", "l")
    assert heading(browser) == "ask_each #13"


def test_the_timeline_shows_what_ran_together_and_leads_there(shown):
    browser = shown(run_of_three_steps())
    assert text_of(browser, "#under") == "at most 5 sub-queries under way at once"
    box = browser.evaluate("document.getElementById('chart').getBoundingClientRect().toJSON()")
    browser.click(box["x"] + box["width"] * 6.55 / 9.5, box["y"] + 4)
    assert heading(browser) == "Step 2"
    browser.click(box["x"] + box["width"] * 7.9 / 9.5, box["y"] + 15)
    assert heading(browser) == "rlm_query #21"
    browser.click(box["x"] + box["width"] * 8 / 9.5, box["y"] + 24)
    assert heading(browser) == "ask #30"


@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1280, 1920])
@pytest.mark.parametrize("at", ["", "#run", "#step-1", "#query-7", "#document-1"])
def test_nothing_is_wider_than_the_screen(shown, width, at):
    coverage = [{"title": "a/long/name" * 9, "characters": 90, "sent": [(0, 40)], "text": "x" * 90}]
    about = {"coverage": coverage, "exchanges": exchanges_of_three_steps()}
    browser = shown(run_of_three_steps(), (width, 800), at, title="word " * 60, **about)
    parts = "[...document.querySelectorAll('body, header, main, #list, #detail, #tree, article')]"
    wider = "filter((part) => part.scrollWidth > part.clientWidth + 1)"
    assert browser.evaluate(f"{parts}.{wider}.map((part) => part.id || part.tagName)") == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width


def visible(browser, *names):
    return [browser.evaluate(f"document.getElementById('{n}').offsetHeight > 0") for n in names]


def test_a_phone_shows_the_list_or_what_is_chosen(shown):
    browser = shown(run_of_three_steps(), PHONE)
    assert visible(browser, "list", "detail") == [True, False]
    place = browser.evaluate(
        "document.querySelectorAll('.row')[1].getBoundingClientRect().toJSON()"
    )
    browser.click(place["x"] + 100, place["y"] + 10)
    assert visible(browser, "list", "detail", "back") == [False, True, True]
    assert heading(browser) == "Step 1"
    browser.evaluate("document.getElementById('next').click()")
    assert heading(browser) == "ask_each ×20"
    rows_chosen = []
    for back in ("document.getElementById('back').click()", "history.back()"):
        browser.evaluate(
            f"new Promise((done) => {{ addEventListener('hashchange', done); {back} }})"
        )
        assert visible(browser, "list", "detail") == [True, False]
        rows_chosen.append(chosen(browser)[1])
        browser.click(place["x"] + 100, place["y"] + 10)
        assert visible(browser, "list", "detail") == [False, True]
    assert rows_chosen == ["ask_each", "Step 1"]


def test_a_click_on_a_row_that_is_drawn_anew_is_not_lost(shown):
    browser = shown(run_of_three_steps(), PHONE)
    place = browser.evaluate(
        "document.querySelectorAll('.row')[1].getBoundingClientRect().toJSON()"
    )
    at = {"x": place["x"] + 100, "y": place["y"] + 10, "button": "left", "clickCount": 1}
    browser.send("Input.dispatchMouseEvent", type="mousePressed", **at)
    browser.evaluate(
        "new Promise((done) => { document.body.style.paddingBottom = '40px';"
        " requestAnimationFrame(() => requestAnimationFrame(done)); })"
    )
    browser.send("Input.dispatchMouseEvent", type="mouseReleased", **at)
    assert visible(browser, "list", "detail") == [False, True]
    assert heading(browser) == "Step 1"


def test_a_phone_opens_what_is_chosen_while_it_goes_back_to_the_list(shown):
    browser = shown(run_of_three_steps(), PHONE)
    choose = "document.querySelectorAll('.row')[{}].click()"
    browser.evaluate(choose.format(1))
    came = "new Promise((done) => {{ addEventListener('hashchange', done); {}; {} }})"
    browser.evaluate(came.format("document.getElementById('back').click()", choose.format(3)))
    assert visible(browser, "list", "detail") == [False, True]
    assert (heading(browser), browser.evaluate("location.hash")) == ("Step 2", "#step-2")
    browser.evaluate(came.format("history.back()", ""))
    assert visible(browser, "list", "detail") == [True, False]


def test_a_phone_that_was_led_to_an_item_finds_the_list(shown):
    browser = shown(run_of_three_steps(), PHONE, at="#step-2")
    assert visible(browser, "list", "detail") == [False, True]
    browser.evaluate("document.getElementById('back').click()")
    assert visible(browser, "list", "detail") == [True, False]


def test_it_is_dark_or_light_as_the_system_and_then_as_wished(shown):
    browser = shown(run_of_three_steps(), dark=True)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = browser.evaluate(ground)
    browser.press("t")
    light = browser.evaluate(ground)
    assert light == "rgb(255, 255, 255)" != dark
    browser.evaluate("localStorage.clear()")
    assert shown(run_of_three_steps()).evaluate(ground) == light


# Of the first strip, which pixels differ from its last.
PIXELS = """(() => {
  const bar = document.querySelector(".strip .bar");
  const row = bar.getContext("2d").getImageData(0, 4, bar.width, 1).data;
  const last = row[4 * (bar.width - 1)];
  return [...Array(bar.width).keys()].map((x) => row[4 * x] !== last);
})()"""


def test_coverage_is_drawn_over_the_documents(shown):
    text = "Ünïcödé 🚢 is sent.\nThis is printed 🚢, this only matched.\nNobody read this."
    ranges = {kind: [(text.index(said), text.index(said) + len(said))]
              for kind, said in {"sent": "🚢 is sent.", "printed": "printed 🚢,",
                                 "matched": "only matched"}.items()}  # fmt: skip
    coverage = [
        {"title": "a.txt", "characters": len(text), "text": text, **ranges},
        {"title": "b.txt", "characters": 100, "sent": [(0, 30), (20, 50)]},
    ]
    browser = shown(run_of_three_steps(), at="#document-1", coverage=coverage)
    assert heading(browser) == "a.txt"
    assert browser.evaluate("document.querySelector('pre.document').textContent") == text
    for kind, [(start, end)] in ranges.items():
        read = f"[...document.querySelectorAll('.part .{kind}')].map((s) => s.textContent).join('')"
        assert browser.evaluate(read) == text[start:end]
    browser.press("j")
    assert "50 % read" in text_of(browser, "article")
    pixels = browser.evaluate(PIXELS)
    assert sum(pixels) == pytest.approx(len(pixels) / 2, abs=2)


def test_numbers_are_exact_and_unseen_characters_are_seen(shown):
    events = run_of_three_steps()
    events[-2]["outputs"] = {"number": 2**60, "text": "a\u202eb\x1bc"}
    browser = shown(events)
    read = text_of(browser, "article .values").split()
    assert read == ["number", "1152921504606846976", "text", "a⟨U+202e⟩b␛c"]


def test_a_run_that_broke_off_is_shown_as_far_as_it_went(shown):
    for length in range(0, len(run_of_three_steps()), 7):
        browser = shown(run_of_three_steps()[:length])
        assert text_of(browser, "h1").startswith("not ended ")
    assert "Step 3" in text_of(browser, "article")


def test_ten_thousand_sub_queries(shown):
    events = made(10_000)
    browser = shown(events, exchanges=said_in(events))
    assert browser.evaluate("document.querySelectorAll('*').length") < 1_000
    browser.press("j", "j", "l", "G")
    assert heading(browser) == "ask_each #10000"
    assert len(rows(browser)) < 100
    browser.press("/", *"10000: ", "Enter")
    assert text_of(browser, "#found").endswith("of 10,003")
    browser.press("/", "Escape", "f", "f", "f")
    assert text_of(browser, "#found") == "100 of 10,003"
