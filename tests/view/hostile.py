"""Texts that a page may mistake for its own: each would set `hacked` where it were run."""

HOSTILE = [
    # elements
    "<script>hacked=1</script>",
    "<SCRIPT>hacked=1</SCRIPT>",
    "<script src=data:text/javascript,hacked=1></script>",
    "<script type=module>globalThis.hacked=1</script>",
    "<img src=x onerror=hacked=1>",
    "<img src=x onerror='hacked=1'//",
    "<image href=x onerror=hacked=1>",
    "<svg onload=hacked=1>",
    "<svg><script>hacked=1</script></svg>",
    "<svg><animate onbegin=hacked=1 attributeName=x dur=1s>",
    "<svg><set onbegin=hacked=1 attributeName=x>",
    "<svg><use href='data:image/svg+xml,<svg id=x onload=hacked=1>#x'/></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=hacked=1>",
    "<body onload=hacked=1>",
    "<iframe src=javascript:parent.hacked=1>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'>",
    "<object data=javascript:hacked=1>",
    "<embed src=javascript:hacked=1>",
    "<a href=javascript:hacked=1 autofocus onfocus=hacked=1 tabindex=0>x</a>",
    "<form action=javascript:hacked=1><button autofocus onfocus=hacked=1>x",
    "<input autofocus onfocus=hacked=1>",
    "<select autofocus onfocus=hacked=1>",
    "<textarea autofocus onfocus=hacked=1>",
    "<details open ontoggle=hacked=1>",
    "<video><source onerror=hacked=1>",
    "<audio src=x onerror=hacked=1>",
    "<marquee onstart=hacked=1>",
    "<style>*{background:url('javascript:hacked=1')}</style>",
    "<style>@import 'data:text/css,*{display:none}';</style>",
    "<link rel=stylesheet href=data:text/css,*{display:none}>",
    "<base href=javascript:hacked=1//>",
    "<meta http-equiv=refresh content='0;url=javascript:hacked=1'>",
    "<meta http-equiv=Content-Security-Policy content=\"script-src 'unsafe-inline'\">",
    "<template><script>hacked=1</script></template>",
    "<dialog open onclose=hacked=1>",
    "<x contenteditable onblur=hacked=1 autofocus>",
    "<noscript><p title='</noscript><img src=x onerror=hacked=1>'>",
    # ways out of where the text stands
    "</script><script>hacked=1</script>",
    "</script ><img src=x onerror=hacked=1>",
    "</SCRIPT\t><svg onload=hacked=1>",
    "<!--<script>hacked=1</script>-->",
    "<!-- --!><img src=x onerror=hacked=1>",
    "<!--<script>",
    "--><img src=x onerror=hacked=1>",
    "]]><script>hacked=1</script>",
    "<![CDATA[<script>hacked=1</script>]]>",
    "</style><script>hacked=1</script>",
    "</title><script>hacked=1</script>",
    "</textarea><script>hacked=1</script>",
    "</pre></article></main><script>hacked=1</script>",
    "\"><img src=x onerror=hacked=1>",
    "'><img src=x onerror=hacked=1>",
    "' onmouseover='hacked=1",
    '" onmouseover="hacked=1" style="position:fixed;inset:0',
    "`-hacked=1-`",
    "${hacked=1}",
    "{{constructor.constructor('hacked=1')()}}",
    "{{script}}{{record}}{{style}}{{policy}}",
    "\\u003cscript\\u003ehacked=1\\u003c/script\\u003e",
    '"};hacked=1;//',
    "'-hacked=1-'",
    "javascript:hacked=1",
    "data:text/html,<script>parent.hacked=1</script>",
    "&lt;script&gt;hacked=1&lt;/script&gt;",
    "&#60;script&#62;hacked=1&#60;/script&#62;",
    "&#x3c;img src=x onerror=hacked=1&#x3e;",
    # characters that parsers treat apart
    "\u2028hacked=1\u2029",
    "<\x00script>hacked=1</script>",
    "\x00\x08\x0b\x0c\x1b[31m\x7f\x9b",
    "\u202e>tpircs/<1=dekcah>tpircs<\u202c",
    "\u2066\u200f\u061c\u2069",
    "\ud800<img src=x onerror=hacked=1>\udfff",
    "\ufeff<script>hacked=1</script>",
    "\uff1cscript\uff1ehacked=1\uff1c/script\uff1e",
    "%3Cscript%3Ehacked=1%3C/script%3E",
    "+ADw-script+AD4-hacked=1+ADw-/script+AD4-",
    "\x1b$B<script>hacked=1</script>",
    # names that objects have already
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
]  # fmt: skip


def events_with(text: str) -> list[dict]:
    """A run, its sub-run and its ending, with a text in every field that holds one."""
    cited = {"quote": text, "how": text, "document": text, "source": text, "text": text}
    cited |= {"offset": 0, "start": 0, "end": 1, "line": 1}
    outputs = {text: text, "other": [text, {text: text}, cited]}
    events = [
        {"kind": "run_started", "signature": text, "inputs": {text: text}, "model": text,
         "sub_model": text, "planned_by": text, "limits": {"calls": 9}},
        {"kind": "planned", "step": 1, "reasoning": text, "code": f"{text}\nask({text!r})",
         "seconds": 0.1},
        {"kind": "sub_query_started", "step": 1, "query": 1, "operator": text, "question": text,
         "characters": 9, "items": 1},
        {"kind": "sub_query_answered", "step": 1, "query": 1, "value": text, "missing": {}},
        {"kind": "sub_query_started", "step": 1, "query": 2, "operator": text, "question": text,
         "characters": 9, "items": 2},
        {"kind": "charged", "step": 1, "query": 2, "role": "sub_query", "model": text,
         "error": text},
        {"kind": "sub_query_answered", "step": 1, "query": 2, "value": [text, outputs],
         "missing": {"1": text}},
        {"kind": "sub_query_started", "step": 1, "query": 3, "operator": "ask", "question": text,
         "characters": 9, "items": 1},
        {"kind": "sub_query_failed", "step": 1, "query": 3, "error": text, "reason": text},
        {"kind": "sub_query_started", "step": 1, "query": 4, "operator": "rlm_query",
         "question": text, "characters": 9, "items": 1},
        {"kind": "run_started", "run": "1", "signature": text, "inputs": {}, "model": text,
         "sub_model": text, "planned_by": "model", "query": 4},
        {"kind": "charged", "run": "1", "step": 1, "role": text, "model": text, "error": text},
        {"kind": "run_ended", "run": "1", "step": 1, "status": "failed", "reason": text},
        {"kind": "tool_called", "step": 1, "tool": text, "value": text, "recorded": True,
         "error": "", "reason": ""},
        {"kind": "tool_called", "step": 1, "tool": text, "value": {text: text}, "error": text,
         "reason": text},
        {"kind": "executed", "step": 1, "output": text, "outcome": "error"},
        {"kind": "call_failed", "step": 2, "role": "plan", "model": text, "error": text,
         "reason": text},
        {"kind": "submitted", "step": 1, "accepted": False, "outputs": None, "error": text},
        {"kind": "planned", "step": 2, "reasoning": text, "code": text, "seconds": 0.1},
        {"kind": "executed", "step": 2, "output": text, "outcome": "submit"},
        {"kind": "submitted", "step": 2, "accepted": True, "outputs": outputs, "error": ""},
        {"kind": "planned", "run": text.replace(".", ""), "step": 1, "reasoning": text,
         "code": text},
        {"kind": text, "step": 2, "output": text},
        {"kind": "extracted", "step": 2, "outputs": outputs, "reason": text, "error": text},
        {"kind": "run_ended", "step": 2, "status": "partial", "reason": text, "spend": None},
    ]  # fmt: skip
    charge = {"prompt_tokens": 5, "completion_tokens": 2, "cached_tokens": 0, "dollars": 0.01}
    charge |= {"query": 0, "cache_hit": False, "estimated": False}
    base = {"step": 0, "run": "", "seconds": 0.1}
    return [
        {"at": number / 10, **base, **(charge if event["kind"] == "charged" else {}), **event}
        for number, event in enumerate(events)
    ]


def exchanges_with(text: str) -> dict:
    """Prompts and replies of that run, with a text in every field that holds one."""
    parts = [{"type": "text", "text": text}, {"type": text, text: text}, text]
    said = {
        "messages": [
            {"role": "system", "content": text},
            {"role": text, "content": parts},
            {"role": "user", "content": {text: text}},
        ],
        "reply": text, "model": text, "role": text, "error": text,
        "prompt_tokens": 5, "completion_tokens": 2, "dollars": 0.01, "cache_hit": True,
    }  # fmt: skip
    owners = [
        ("", "step", 1),
        ("", "step", 2),
        ("", "query", 1),
        ("", "query", 3),
        ("1", "step", 1),
    ]
    owners += [(text, "query", 1), ("", text, 9)]
    ending = {("", "step", 0): [{**said, "role": "extract"}]}
    return {owner: [said, {**said, "reply": f"again {text}"}] for owner in owners} | ending


def coverage_with(text: str) -> list[dict]:
    return [{"title": text, "characters": len(text), "sent": [(0, 2)], "matched": [(1, 3)],
             "text": text}]  # fmt: skip
