// When what ran: the planner's steps, sub-runs, and every sub-query in a lane of its own while it
// is under way, so that the height is how many ran at once.

const STEPS_HEIGHT = 10;
const NESTED_HEIGHT = 3;
const LANES_HEIGHT = 64;
const AXIS_HEIGHT = 18;
const GAP = 4;

/** A colour of page.css as a canvas takes it. */
function ink(canvas, name) {
  canvas.style.color = `var(--${name})`;
  return getComputedStyle(canvas).color;
}

/** A canvas's context at the screen's own resolution, cleared. */
function sheet(canvas, width, height) {
  const ratio = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return context;
}

class Timeline {
  constructor(root, choose) {
    Object.assign(this, { root, choose, canvas: $("chart"), chosen: null });
    this.steps = root.children.filter((item) => ["step", "ending"].includes(item.kind));
    const queries = [];
    for (const item of everything(root)) if (item.kind === "query") queries.push(item);
    this.nested = queries.filter((query) => query.run);
    this.queries = queries
      .filter((query) => !query.run)
      .sort((one, other) => one.from - other.from);
    this.lanes = lanesOf(this.queries, root.until);
    this.say();
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => ($("under").textContent = this.summary));
    this.canvas.addEventListener("click", (event) => {
      const item = this.at(event);
      if (item) choose(item, true);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement);
  }

  say() {
    const keys = [
      ["plan", "planning"],
      ["run", "running code"],
    ];
    if (this.queries.length) keys.push(["query", "sub-query"]);
    if (this.nested.length) keys.push(["nested", "sub-run"]);
    if (this.root.sum.trouble) keys.push(["fail", "failed"]);
    const swatches = keys.map(([colour, text]) => el("span.key", null, el(`i.${colour}`), text));
    $("legend").replaceChildren(...swatches);
    const most = this.lanes;
    this.summary = most ? `at most ${counted(most, "sub-query")} under way at once` : "";
    $("under").textContent = this.summary;
  }

  get top() {
    return STEPS_HEIGHT + GAP + (this.nested.length ? NESTED_HEIGHT + GAP : 0);
  }

  get lane() {
    return Math.min(LANES_HEIGHT / this.lanes, 6);
  }

  span(item) {
    const width = this.canvas.clientWidth / (this.root.until || 1);
    const until = item.until ?? this.root.until;
    return [item.from * width, Math.max((until - item.from) * width, 1)];
  }

  draw() {
    const { canvas } = this;
    const width = canvas.clientWidth;
    if (!width) return;
    const bottom = this.top + (this.lanes ? this.lanes * this.lane : 0);
    const pen = sheet(canvas, width, bottom + AXIS_HEIGHT);
    const colours = Object.fromEntries(
      ["plan", "run", "query", "nested", "fail", "line", "muted", "ink"].map((n) => [
        n,
        ink(canvas, n),
      ]),
    );
    this.axis(pen, width, bottom, colours);
    for (const step of this.steps) this.step(pen, step, colours);
    pen.fillStyle = colours.nested;
    for (const item of this.nested) {
      const [x, length] = this.span(item);
      pen.fillRect(x, STEPS_HEIGHT + GAP, length, NESTED_HEIGHT);
    }
    const thick = this.lane > 2 ? this.lane - 1 : this.lane;
    for (const failed of [false, true]) {
      pen.fillStyle = failed ? colours.fail : colours.query;
      for (const query of this.queries) {
        if ((query.state === "failed") !== failed) continue;
        const [x, length] = this.span(query);
        pen.fillRect(x, this.top + query.lane * this.lane, length - (length > 4), thick);
      }
    }
    this.mark(pen, bottom, colours);
  }

  step(pen, step, colours) {
    const [x, length] = this.span(step);
    const thinking = this.span({ from: step.from, until: step.planned?.at ?? step.until })[1];
    pen.fillStyle = step.state === "failed" ? colours.fail : colours.run;
    pen.fillRect(x, 0, length - (length > 4), STEPS_HEIGHT);
    pen.fillStyle = colours.plan;
    pen.fillRect(x, 0, Math.min(thinking, length), STEPS_HEIGHT);
  }

  axis(pen, width, bottom, colours) {
    const until = this.root.until;
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    pen.textBaseline = "bottom";
    if (!until) return;
    const rough = (until * 80) / width;
    const size = 10 ** Math.floor(Math.log10(rough));
    const gap = [1, 2, 5, 10].map((part) => part * size).find((part) => part >= rough);
    for (let tick = 0; tick <= until; tick += gap) {
      const x = (tick / until) * width;
      pen.fillStyle = colours.line;
      pen.fillRect(Math.min(x, width - 1), 0, 1, bottom + 4);
      if (x > width - 30) continue;
      pen.fillStyle = colours.muted;
      const text =
        until < 1 ? clock(tick) : tick >= 60 ? clock(tick) : `${Number(tick.toFixed(2))} s`;
      pen.fillText(tick ? text : "0", x + (tick ? 3 : 0), bottom + AXIS_HEIGHT);
    }
  }

  mark(pen, bottom, colours) {
    const item = this.chosen;
    if (!item || item === this.root || !Number.isFinite(item.from) || item.doc) return;
    const [x, length] = this.span(item);
    pen.fillStyle = colours.ink;
    pen.globalAlpha = 0.08;
    pen.fillRect(x, 0, length, bottom);
    pen.globalAlpha = 1;
    pen.fillRect(x, bottom + 1, Math.max(length, 3), 2);
  }

  /** What lies under the pointer. */
  at(event) {
    const { left, top } = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - left, event.clientY - top];
    const hit = (item) => {
      const [start, length] = this.span(item);
      return x >= start - 2 && x <= start + length + 2;
    };
    if (y < STEPS_HEIGHT + GAP / 2) return this.steps.find(hit);
    if (y < this.top) return this.nested.find(hit);
    const lane = Math.floor((y - this.top) / this.lane);
    return this.queries.find((query) => query.lane === lane && hit(query));
  }

  point(event) {
    const item = this.at(event);
    this.canvas.style.cursor = item ? "pointer" : "";
    const said = item && [
      item.name,
      item.started?.operator,
      item.seconds === null ? "" : clock(item.seconds),
    ];
    $("under").textContent = item ? shown(said.filter(Boolean).join(" · ")) : this.summary;
  }
}

function* everything(item) {
  yield item;
  for (const child of item.children) yield* everything(child);
}

/** Gives each query the first lane that is free when it starts; how many there are. */
function lanesOf(queries, end) {
  const free = [];
  for (const query of queries) {
    let lane = free.findIndex((until) => until <= query.from);
    if (lane < 0) lane = free.length;
    free[lane] = query.until ?? end;
    query.lane = lane;
  }
  return free.length;
}
