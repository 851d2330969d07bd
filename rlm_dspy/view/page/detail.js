// What the right side says of one item.

/** The page about an item. */
function pageOf(item, choose) {
  const about = {
    run: aboutRun,
    step: aboutStep,
    group: aboutGroup,
    query: aboutQuery,
    ending: aboutEnding,
    documents: aboutDocuments,
    document: aboutDocument,
  }[item.kind];
  return about(item, choose).flat(3);
}

const facts = (...parts) => el("p.facts", null, parts.flat().filter(Boolean).join(" · "));
const section = (name, ...content) => [el("h3", null, name), ...content];
const link = (text, item, choose) =>
  el("button.link", { type: "button", click: () => choose(item, true) }, text);

function cost({ sum, seconds }) {
  return [
    seconds === null ? "not finished" : clock(seconds),
    sum.calls ? counted(sum.calls, "call") : "",
    sum.tokens ? counted(sum.tokens, "token") : "",
    sum.dollars ? money(sum.dollars) : "",
    sum.hits ? `${count(sum.hits)} from the cache` : "",
  ];
}

function problem(...texts) {
  const said = texts.filter(Boolean);
  return said.length ? el("p.problem", null, said.join(": ")) : null;
}

function values(outputs) {
  const entries = Object.entries(outputs ?? {});
  if (entries.length === 1) return box("value", pretty(entries[0][1]));
  return el(
    "dl.values",
    null,
    entries.map(([name, value]) => [
      el("dt", null, name),
      el("dd", null, box("value", pretty(value))),
    ]),
  );
}

function aboutRun(item, choose) {
  const { started, ended, outputs } = item.run;
  return [
    el("h2", null, item.title ?? item.name),
    facts(
      ended ? ended.status : "not ended",
      started && `planned by ${started.planned_by}`,
      started && [...new Set([started.model, started.sub_model])].join(" with "),
      started?.signature,
    ),
    ended?.reason ? problem(ended.reason) : null,
    outputs ? section("Answer", values(outputs)) : null,
    sourcesOf(item, choose),
    section("Spend", spendTable(item)),
    attemptsOf(item),
    stories(item, choose),
  ];
}

function stories(item, choose) {
  const steps = item.children.filter((child) => ["step", "ending"].includes(child.kind));
  return steps.map((step) =>
    el(
      "section.story",
      null,
      el("h3", null, link(step.name, step, choose)),
      (step.kind === "step" ? story(step, choose) : endingStory(step)).flat(3),
    ),
  );
}

function aboutStep(item, choose) {
  return [el("h2", null, item.name), story(item, choose), attemptsOf(item)];
}

function story(item, choose) {
  const { planned, executed, submitted, children } = item;
  return [
    facts(
      planned?.seconds ? `planned in ${clock(planned.seconds)}` : "",
      executed ? `ran for ${clock(executed.seconds)}` : "",
      cost(item).slice(1),
    ),
    item.state === "failed" && !executed ? problem(item.label) : null,
    planned?.reasoning ? el("p.prose", null, planned.reasoning) : null,
    planned?.code ? codeBox(planned.code) : null,
    children.length
      ? el(
          "ul.asked",
          null,
          children.map((child) => asked(child, choose)),
        )
      : null,
    item.tools ? toolTable(item.tools) : null,
    executed?.output
      ? box(executed.outcome === "error" ? "output.failed" : "output", executed.output.trimEnd())
      : null,
    submitted && !submitted.accepted ? problem("not accepted", submitted.error) : null,
    submitted?.accepted ? section("Submitted", values(submitted.outputs)) : null,
  ];
}

function asked(child, choose) {
  const times = child.kind === "group" ? ` ×${count(child.children.length)}` : "";
  const operator = child.started?.operator ?? "";
  return el(
    "li",
    null,
    link(`${operator} ${child.name}${times}`.trim(), child, choose),
    el("span.label", null, child.question || child.started?.question || child.label),
    child.sum.trouble ? el("span.trouble", null, `${count(child.sum.trouble)} failed`) : "",
  );
}

function aboutGroup(item, choose) {
  const times = item.children.map((child) => child.seconds).filter((seconds) => seconds !== null);
  times.sort((one, other) => one - other);
  const part = (share) => clock(times[Math.floor(share * (times.length - 1))]);
  const failed = item.children.filter(troubled);
  return [
    el("h2", null, `${item.name} ×${count(item.children.length)}`),
    facts(cost(item), times.length ? `each ${part(0.5)}, the slowest ${part(1)}` : ""),
    item.question ? section("Question", box("value", item.question)) : null,
    answers(item),
    failed.length
      ? section(
          `Failed: ${count(failed.length)}`,
          el(
            "ul.asked",
            null,
            failed
              .slice(0, 50)
              .map((child) =>
                el(
                  "li",
                  null,
                  link(child.name, child, choose),
                  el("span.label", null, child.label),
                ),
              ),
          ),
          failed.length > 50 ? el("p.facts", null, `and ${count(failed.length - 50)} more`) : null,
        )
      : null,
  ];
}

/** How often each answer was given, where they are few. */
function answers(item) {
  const tally = new Map();
  for (const { started, ended } of item.children) {
    if (ended?.value === undefined) continue;
    const each = started.items > 1 && Array.isArray(ended.value) ? ended.value : [ended.value];
    for (const [position, value] of each.entries()) {
      if (ended.missing?.[position] === undefined) {
        tally.set(brief(value), (tally.get(brief(value)) ?? 0) + 1);
      }
    }
  }
  if (!tally.size || tally.size > 20) return null;
  const rows = [...tally].sort((one, other) => other[1] - one[1]);
  const most = rows[0][1];
  return section(
    "Answers",
    el(
      "table.tally",
      null,
      el(
        "tbody",
        null,
        rows.map(([value, times]) => {
          const strip = el("i.query");
          strip.style.width = `${(100 * times) / most}%`;
          return el(
            "tr",
            null,
            el("th", { scope: "row" }, value || "(empty)"),
            el("td.number", null, count(times)),
            el("td.strip", null, strip),
          );
        }),
      ),
    ),
  );
}

function aboutQuery(item, choose) {
  const { started, ended, run, charges } = item;
  return [
    el("h2", null, `${started.operator} ${item.name}`),
    facts(
      { failed: "failed", warned: "not complete", open: "not finished" }[item.state],
      cost(item),
      `asked at ${clock(item.from)}`,
      [...new Set(charges.map((charge) => charge.model))].join(", "),
      `${counted(started.characters, "character")} read`,
      started.items > 1 ? counted(started.items, "item") : "",
    ),
    section("Question", box("value", started.question)),
    item.state === "failed" ? problem(ended.error, ended.reason) : null,
    ended?.said ? section("Answer, not of its type", box("value", ended.said)) : null,
    ended?.value === undefined ? null : section("Answer", answerOf(item)),
    charges.length ? section("Attempts", attemptTable(charges)) : null,
    attemptsOf(item),
    run
      ? [
          run.ended?.reason ? problem(run.ended.status, run.ended.reason) : null,
          stories(item, choose),
        ]
      : null,
  ];
}

/** One answer, or those of a call's items by position, with why one is missing. */
function answerOf({ started, ended }) {
  if (started.items < 2 || !Array.isArray(ended.value)) {
    return [
      box("value", pretty(ended.value)),
      ...Object.values(ended.missing ?? {}).map((why) => problem(why)),
    ];
  }
  return el(
    "ol.items",
    null,
    ended.value.map((value, position) => {
      const why = ended.missing?.[position];
      return el("li", null, why === undefined ? pretty(value) : problem("missing", why));
    }),
  );
}

function aboutEnding(item) {
  return [el("h2", null, item.name), endingStory(item), attemptsOf(item)];
}

function endingStory(item) {
  return [facts(cost(item).slice(1)), problem(item.reason), values(item.outputs)];
}

function aboutDocuments(item) {
  const all = whole(item.documents);
  return [
    el("h2", null, "Documents"),
    facts(
      counted(item.documents.length, "document"),
      counted(all.characters, "character"),
      `${share(all)} read`,
    ),
    strips(all),
  ];
}

function aboutDocument(item) {
  const { doc } = item;
  return [
    el("h2", null, doc.title),
    facts(counted(doc.characters, "character"), `${share(doc)} read`),
    strips(doc),
    quotedIn(doc),
    doc.text ? section("Text", marked(doc)) : null,
  ];
}
