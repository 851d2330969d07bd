// From a run's events to the tree that is shown: a run holds its steps, a step its sub-queries, and
// a sub-query that a sub-run answered holds the steps of that. Many sub-queries of one operator in
// one step stand under a group.

const KINDS = new Set(
  (
    "run_started planned executed sub_query_started sub_query_answered sub_query_failed charged " +
    "call_failed tool_called submitted extracted answered looked_up run_ended"
  ).split(" "),
);

class Item {
  /** kind: "run", "step", "group", "query", "ending", "documents" or "document". */
  constructor(kind, id, parent, from = 0) {
    Object.assign(this, { kind, id, parent, from, until: null, state: "open" });
    this.children = [];
    this.charges = [];
    this.name = this.label = "";
    parent?.children.push(this);
  }

  /** What a search looks through, in lower case. */
  get text() {
    this.lowered ??= searched(this).join("\n").toLowerCase();
    return this.lowered;
  }

  get seconds() {
    return this.until === null ? null : Math.max(this.until - this.from, 0);
  }
}

function searched(item) {
  const { name, label, planned, executed, submitted, started, ended, outputs } = item;
  const texts = [
    name,
    label,
    planned?.reasoning,
    planned?.code,
    executed?.output,
    submitted?.error,
  ];
  texts.push(started?.question, started?.operator, item.reason);
  texts.push(ended?.error, ended?.reason, ended?.said);
  if (ended?.value !== undefined) texts.push(pretty(ended.value));
  for (const { tool, value, reason } of item.tools ?? []) texts.push(tool, pretty(value), reason);
  for (const { own } of item.attempts ?? []) texts.push(...own);
  texts.push(...Object.values(ended?.missing ?? {}), outputs && pretty(outputs));
  return [...texts, ...item.charges.map((charge) => `${charge.model} ${charge.error}`)].filter(
    Boolean,
  );
}

class Builder {
  constructor(record) {
    this.root = new Item("run", "run", null);
    this.runs = new Map();
    this.runOf({ run: "" });
    for (const event of record.events) {
      if (KINDS.has(event.kind)) this[event.kind](this.runOf(event), event);
    }
    this.last = record.events.at(-1)?.at ?? 0;
  }

  /** The run of an event; made at its first event, under what it answers or what ran just then. */
  runOf(event) {
    const known = this.runs.get(event.run);
    if (known) return known;
    const run = { id: event.run, item: this.root, steps: new Map(), queries: new Map() };
    if (event.run) {
      const dot = event.run.lastIndexOf(".");
      const parent = this.runOf({
        ...event,
        run: dot < 0 ? "" : event.run.slice(0, dot),
        query: 0,
      });
      const answers = parent.queries.get(event.query ?? 0);
      const under = [...parent.steps.values()].at(-1) ?? parent.item;
      run.item = answers ?? new Item("run", `run-${event.run}`, under, event.at);
      run.item.name ||= `Sub-run ${event.run}`;
    }
    run.item.run = run;
    this.runs.set(event.run, run);
    return run;
  }

  id(run, rest) {
    return run.id ? `${run.id}-${rest}` : rest;
  }

  step(run, event) {
    let step = run.steps.get(event.step);
    if (!step) {
      if (!event.step) return run.item;
      step = new Item("step", this.id(run, `step-${event.step}`), run.item, event.at);
      step.name = `Step ${event.step}`;
      run.steps.set(event.step, step);
    }
    return step;
  }

  run_started(run, event) {
    run.started = event;
    run.item.label ||= event.signature;
  }

  planned(run, event) {
    const step = this.step(run, event);
    step.planned = event;
    step.from = Math.max(event.at - event.seconds, 0);
    step.label = firstLine(event.code) || "(no code)";
  }

  executed(run, event) {
    const step = this.step(run, event);
    Object.assign(step, { executed: event, until: event.at });
    step.state = event.outcome === "error" ? "failed" : "done";
  }

  submitted(run, event) {
    const step = this.step(run, event);
    Object.assign(step, { submitted: event, until: event.at, outputs: event.outputs });
    step.state = event.accepted ? "done" : "warned";
    if (event.accepted) run.outputs = event.outputs;
  }

  sub_query_started(run, event) {
    const id = this.id(run, `query-${event.query}`);
    const query = new Item("query", id, this.step(run, event), event.at);
    query.started = event;
    query.name = `#${event.query}`;
    run.queries.set(event.query, query);
  }

  sub_query_answered(run, event) {
    const lacks = Object.keys(event.missing ?? {}).length > 0;
    this.finished(run, event, lacks ? "warned" : "done", brief(event.value));
  }

  sub_query_failed(run, event) {
    this.finished(run, event, "failed", `${event.error}: ${event.reason}`);
  }

  finished(run, event, state, label) {
    const query = run.queries.get(event.query);
    if (query) Object.assign(query, { ended: event, until: event.at, state, label });
  }

  charged(run, event) {
    const query = event.role === "sub_query" && run.queries.get(event.query ?? 0);
    (query || this.step(run, event)).charges.push(event);
  }

  call_failed(run, event) {
    if (event.role !== "sub_query") this.step(run, event).failure = event;
  }

  tool_called(run, event) {
    (this.step(run, event).tools ??= []).push(event);
  }

  extracted(run, event) {
    const ending = this.ending(run, event, "Extraction");
    ending.state = event.error ? "failed" : "warned";
    ending.reason = event.error || event.reason;
  }

  looked_up(run, event) {
    this.ending(run, event, "Looked up").state = "done";
    run.found = event.found;
  }

  answered(run, event) {
    this.ending(run, event, "Direct answer").state = "done";
  }

  ending(run, event, name) {
    const ending = new Item("ending", this.id(run, "ending"), run.item, event.at);
    Object.assign(ending, { name, outputs: event.outputs, until: event.at, from: event.at });
    ending.label = brief(event.outputs);
    Object.assign(run, { outputs: event.outputs, ending });
    return ending;
  }

  run_ended(run, event) {
    run.ended = event;
    if (run.item.kind !== "run") return;
    const states = { completed: "done", partial: "warned", failed: "failed" };
    Object.assign(run.item, { until: event.at, state: states[event.status], reason: event.reason });
  }
}

/** The tree of a record: its root, and every item by its id. */
function treeOf(record) {
  const { root, runs, last } = new Builder(record);
  root.until ??= last;
  root.name = "Run";
  root.title = record.title || root.label || "A run";
  root.runs = [...runs.values()];
  const items = new Map();
  group(root);
  attach(record.exchanges, runs, root);
  root.documents = documentsOf(record, root);
  quote(root);
  settle(root, items);
  return { root, items };
}

/** Puts the sub-queries of one operator in one step under a group, where there are several. */
function group(item) {
  const of = new Map();
  for (const child of item.children) {
    group(child);
    const operator = child.started?.operator;
    if (!of.has(operator)) of.set(operator, []);
    of.get(operator).push(child);
  }
  of.delete(undefined);
  for (const [number, [operator, queries]] of [...of].entries()) {
    if (queries.length < 2) continue;
    const inside = new Set(queries);
    item.children = item.children.filter((child) => !inside.has(child));
    const made = new Item("group", `${item.id}-group-${number + 1}`, item, queries[0].from);
    made.children = queries;
    for (const query of queries) query.parent = made;
    const questions = new Set(queries.map((query) => query.started.question));
    made.question = questions.size === 1 ? queries[0].started.question : "";
    Object.assign(made, { name: operator, label: made.question, state: "done" });
    if (queries.every((query) => query.ended)) {
      made.until = queries.reduce((latest, query) => Math.max(latest, query.until), 0);
    }
  }
  item.children.sort((one, other) => one.from - other.from);
}

/** Whether something went wrong in an item itself; of a run, its steps say it. */
const troubled = (item) => ["failed", "warned"].includes(item.state) && item.kind !== "run";

/** Sums up what each item and all below it cost, and counts what went wrong. */
function settle(item, items) {
  items.set(item.id, item);
  const sum = { calls: 0, hits: 0, tokens: 0, dollars: 0, trouble: 0, queries: 0 };
  for (const charge of item.charges) {
    sum[charge.cache_hit ? "hits" : "calls"] += 1;
    sum.tokens += charge.prompt_tokens + charge.completion_tokens;
    sum.dollars += charge.dollars;
  }
  sum.queries = item.kind === "query" ? 1 : 0;
  const refused = item.charges.length > 0 && item.charges.every((charge) => charge.error);
  if (item.kind === "step" && item.state === "open" && refused) {
    const { error, reason } = item.failure ?? item.charges.at(-1);
    const why = [error, reason].filter(Boolean).join(": ");
    Object.assign(item, { state: "failed", label: `no plan: ${why}` });
  }
  sum.trouble = troubled(item) ? 1 : 0;
  for (const child of item.children) {
    const below = settle(child, items);
    for (const name of Object.keys(sum)) sum[name] += below[name];
  }
  item.sum = sum;
  return sum;
}
