// The tree on the left: which items are shown, in which order, and only those on the screen drawn.
// A row that stays on the screen stays the same element, so that no click falls between two.

const ROW = 28; // pixels; also in page.css
const FEW = 12; // so many children are shown at the start
const MARKS = { failed: "✕", warned: "!" };
const SAID = { failed: "failed", warned: "not complete", open: "not finished", done: "" };
const FILTERS = {
  all: ["All", () => true],
  steps: ["Steps", (item) => ["run", "step", "ending"].includes(item.kind)],
  queries: ["Sub-queries", (item) => item.kind === "query"],
  failed: ["Failed", (item) => troubled(item)],
};
const ORDERS = {
  asked: ["As asked", null],
  slowest: ["Slowest first", (item) => item.seconds ?? Infinity],
  dearest: ["Dearest first", (item) => item.sum.dollars || item.sum.tokens / 1e9],
};

class Tree {
  constructor(root, choose) {
    Object.assign(this, { root, choose, filter: "all", order: "asked", words: "" });
    this.box = $("tree");
    this.rows = $("rows");
    this.open = new Map([[root, true]]);
    this.chosen = root;
    this.made = new Map();
    this.box.addEventListener("scroll", () => this.schedule());
    this.box.addEventListener("click", (event) => this.clicked(event));
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  isOpen(item) {
    return this.open.get(item) ?? item.children.length <= FEW;
  }

  /** Works out the rows anew and draws them. */
  update() {
    const keeps = FILTERS[this.filter][1];
    const words = this.words.toLowerCase();
    const all = this.filter === "all" && !words;
    this.matches = 0;
    this.items = [];
    this.walk(this.root, 0, all, (item) => keeps(item) && (!words || item.text.includes(words)));
    this.narrowed = !all;
    this.rows.style.height = `${this.items.length * ROW}px`;
    this.draw();
  }

  walk(item, level, all, keeps) {
    item.level = level;
    const at = this.items.length;
    this.items.push(item);
    const kept = !all && keeps(item);
    this.matches += kept;
    let below = false;
    if (!all || this.isOpen(item)) {
      for (const child of this.ordered(item.children)) {
        below = this.walk(child, level + 1, all, keeps) || below;
      }
    }
    if (!all && !kept && !below && level) this.items.length = at;
    return kept || below;
  }

  ordered(children) {
    const key = ORDERS[this.order][1];
    if (!key || children[0]?.kind !== "query") return children;
    return [...children].sort((one, other) => key(other) - key(one));
  }

  schedule() {
    this.frame ??= requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.frame = undefined;
    if (!this.items) return;
    const first = Math.max(Math.floor(this.box.scrollTop / ROW) - 4, 0);
    const last = Math.min(first + Math.ceil(this.box.clientHeight / ROW) + 8, this.items.length);
    const made = new Map();
    for (let index = first; index < last; index++) {
      const item = this.items[index];
      const row = this.made.get(item) ?? this.row(item);
      this.place(row, item, index);
      made.set(item, row);
    }
    this.put(made);
    const index = this.items.indexOf(this.chosen);
    if (index >= first && index < last)
      this.box.setAttribute("aria-activedescendant", `row-${index}`);
    else this.box.removeAttribute("aria-activedescendant");
    highlight(this.words);
  }

  /** Takes out the rows that are shown no more, and puts the new ones between those that stay. */
  put(made) {
    for (const [item, row] of this.made) if (!made.has(item)) row.remove();
    this.made = made;
    let next = this.rows.firstChild;
    for (const row of made.values()) {
      if (row === next) next = next.nextSibling;
      else this.rows.insertBefore(row, next);
    }
  }

  /** What changes of a row while it is shown. */
  place(row, item, index) {
    const { children } = item;
    const open = this.narrowed || this.isOpen(item);
    const told = {
      id: `row-${index}`,
      "data-index": index,
      "aria-selected": item === this.chosen,
      "aria-posinset": index + 1,
      "aria-setsize": this.items.length,
      ...(children.length ? { "aria-expanded": open } : {}),
    };
    for (const [name, value] of Object.entries(told)) row.setAttribute(name, value);
    row.style.transform = `translateY(${index * ROW}px)`;
    row.firstChild.textContent = children.length ? (open ? "▾" : "▸") : "";
  }

  row(item) {
    const { level, children, state, sum } = item;
    const about = { role: "treeitem", "aria-level": level + 1 };
    const row = el(`div.row.${item.kind}.${state}`, about);
    row.style.paddingLeft = `${10 + Math.min(level, 8) * 14}px`;
    add(row, [
      el("span.twist"),
      el("span.name", null, item.name),
      item.kind === "group" ? el("span.times", null, `×${count(children.length)}`) : "",
      item.kind === "query" && item.parent.kind !== "group"
        ? el("span.operator", null, item.started.operator)
        : "",
      el("span.label", null, labelOf(item)),
    ]);
    if (troubled(item)) add(row, [el("span.mark", { title: SAID[state] }, MARKS[state])]);
    else if (sum.trouble)
      add(row, [
        el(
          "span.mark.failed",
          { title: `${count(sum.trouble)} failed` },
          `${MARKS.failed} ${short(sum.trouble)}`,
        ),
      ]);
    if (item.kind === "document")
      add(row, [bar(item.doc), el("span.share", null, share(item.doc))]);
    else if (item.kind !== "documents") add(row, figures(item));
    return row;
  }

  clicked(event) {
    const row = event.target.closest(".row");
    if (!row) return;
    const item = this.items[Number(row.dataset.index)];
    if (event.target.className === "twist" && item.children.length) this.toggle(item);
    else this.choose(item, true);
    this.box.focus({ preventScroll: true });
  }

  toggle(item, open = !this.isOpen(item)) {
    this.open.set(item, open);
    this.update();
  }

  /** Opens what an item stands in, and brings it into view. */
  reveal(item) {
    this.chosen = item;
    let parent = item.parent;
    let hidden = !this.items.includes(item);
    if (hidden && this.narrowed) Object.assign(this, { filter: "all", words: "" });
    for (; parent; parent = parent.parent) {
      if (hidden) this.open.set(parent, true);
    }
    if (hidden) this.update();
    const top = this.items.indexOf(item) * ROW;
    const { scrollTop, clientHeight } = this.box;
    if (top < scrollTop) this.box.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight) this.box.scrollTop = top + ROW - clientHeight;
    this.draw();
  }

  /** The item so many rows further, as far as there are any. */
  beside(distance) {
    const index = this.items.indexOf(this.chosen) + distance;
    return this.items[Math.min(Math.max(index, 0), this.items.length - 1)];
  }
}

/** A sub-query under a shared question is known by its answer, another by what was asked. */
function labelOf(item) {
  if (item.kind !== "query") return item.label;
  const { question } = item.started;
  if (item.parent?.question === question) return item.label;
  return item.label ? `${brief(question)} → ${item.label}` : brief(question);
}

function figures({ sum, seconds }) {
  return [
    el("span.tokens", null, sum.tokens ? short(sum.tokens) : sum.hits ? "cached" : ""),
    el("span.dollars", null, sum.dollars ? money(sum.dollars) : ""),
    el("span.seconds", null, seconds === null ? "…" : clock(seconds)),
  ];
}

/** Marks what was searched for, without touching the document. */
function highlight(words) {
  if (!globalThis.CSS?.highlights) return;
  const ranges = [];
  const wanted = words.toLowerCase();
  for (const part of wanted ? [$("rows"), $("article")] : []) {
    const walker = document.createTreeWalker(part, NodeFilter.SHOW_TEXT);
    while (walker.nextNode() && ranges.length < 2_000) {
      const text = walker.currentNode.data.toLowerCase();
      for (let at = text.indexOf(wanted); at >= 0; at = text.indexOf(wanted, at + wanted.length)) {
        if (at + wanted.length > walker.currentNode.length) break; // lower case may be longer
        const range = new Range();
        range.setStart(walker.currentNode, at);
        range.setEnd(walker.currentNode, at + wanted.length);
        ranges.push(range);
      }
    }
  }
  CSS.highlights.set("found", new Highlight(...ranges));
}
