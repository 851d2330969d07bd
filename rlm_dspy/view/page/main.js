// Starts the page: the head, the three parts, the keys, and the address that names what is shown.

const KEYS = [
  ["j  ↓", "next"],
  ["k  ↑", "previous"],
  ["l  →", "open, or go into"],
  ["h  ←", "close, or go out of"],
  ["g  G", "first, last"],
  ["n  N", "next, previous failure"],
  ["space", "scroll what is shown on the right; with shift, back"],
  ["Enter", "go to what is shown; Esc goes back"],
  ["/", "search; Esc clears it"],
  ["f", "show all, steps, sub-queries, failed"],
  ["o", "order of sub-queries"],
  ["t", "dark or light"],
  ["?", "these keys"],
];

class Page {
  constructor(record) {
    const { root, items } = treeOf(record);
    Object.assign(this, { root, items });
    document.title = shown(root.title);
    const state = root.run.ended?.status ?? "not ended";
    $("title").title = shown(root.title);
    add($("title"), [el(`span.status.${root.state}`, null, state), " ", root.title]);
    $("meters").append(...meters(root));
    const choose = (item, open) => this.choose(item, open);
    this.tree = new Tree(root, choose);
    this.timeline = new Timeline(root, choose);
    if (!root.until) $("timeline").hidden = true;
    this.tools();
    this.keys = this.bound();
    this.paint(stored() ?? "");
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    addEventListener("keydown", (event) => this.pressed(event));
    addEventListener("hashchange", () => this.follow());
    this.tree.update();
    this.follow();
    this.tree.box.focus({ preventScroll: true });
  }

  /** Shows an item; with `open`, on a narrow screen too, where it hides the list. */
  choose(item, open = false) {
    if (!item) return;
    const to = `#${encodeURIComponent(item.id.toWellFormed())}`;
    const opened = "open" in document.body.dataset;
    if (open && narrow() && !opened && !this.leaving) {
      this.pushed = location.hash !== to; // so that the way back leads to the list
      location.hash = to;
    } else if (opened || !narrow()) location.replace(to);
    this.show(item, open);
  }

  show(item, open) {
    if (open) document.body.dataset.open = "";
    this.item = item;
    $("article").replaceChildren();
    add(
      $("article"),
      pageOf(item, (other, to) => this.choose(other, to)),
    );
    $("detail").scrollTop = 0;
    this.tree.reveal(item);
    this.timeline.chosen = item;
    this.timeline.draw();
    this.sync();
  }

  /** Shows what the address names; what was opened on the way back to the list gets its own. */
  follow() {
    if (this.leaving) {
      this.leaving = false;
      if ("open" in document.body.dataset) {
        delete document.body.dataset.open;
        this.choose(this.item, true);
        return;
      }
    }
    const item = this.items.get(decode(location.hash.slice(1)));
    if (!item) delete document.body.dataset.open;
    if (item ? item !== this.item : !this.item) this.show(item ?? this.root, Boolean(item));
  }

  tools() {
    const { tree } = this;
    for (const [filter, [name]] of Object.entries(FILTERS)) {
      $("filters").append(
        el(
          "button",
          { type: "button", "data-filter": filter, click: () => this.narrow({ filter }) },
          name,
        ),
      );
    }
    for (const [order, [name]] of Object.entries(ORDERS))
      $("order").append(el("option", { value: order }, name));
    $("order").addEventListener("change", () => this.narrow({ order: $("order").value }));
    $("search").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.narrow({ words: $("search").value }), 60);
    });
    $("theme").addEventListener("click", () => this.theme());
    $("help").addEventListener("click", () => $("keys").showModal());
    $("back").addEventListener("click", () => this.list());
    $("previous").addEventListener("click", () => this.choose(tree.beside(-1)));
    $("next").addEventListener("click", () => this.choose(tree.beside(1)));
    const keys = KEYS.map(([keys, does]) =>
      el("tr", null, el("th", { scope: "row" }, keys), el("td", null, does)),
    );
    const close = el("button", { type: "button", click: () => $("keys").close() }, "Close");
    $("keys").append(el("h2", null, "Keys"), el("table", null, el("tbody", null, keys)), close);
  }

  /** Goes back to the list, where the screen shows one of the two. */
  list() {
    if (narrow() && "open" in document.body.dataset) {
      this.leaving = this.pushed; // until the browser has gone back, which takes its time
      if (this.pushed) history.back();
      else location.replace("#");
    }
    delete document.body.dataset.open;
    this.tree.reveal(this.item);
    this.tree.box.focus({ preventScroll: true });
  }

  /** Changes what the tree shows. */
  narrow(change) {
    Object.assign(this.tree, change);
    this.tree.box.scrollTop = 0;
    this.tree.update();
    if (this.tree.items.includes(this.item)) this.tree.reveal(this.item);
    this.sync();
  }

  sync() {
    const { filter, order, words, matches, narrowed } = this.tree;
    for (const button of $("filters").children)
      button.setAttribute("aria-pressed", button.dataset.filter === filter);
    $("order").value = order;
    if (document.activeElement !== $("search")) $("search").value = words;
    $("found").textContent = narrowed ? `${count(matches)} of ${count(this.items.size)}` : "";
  }

  /** Dark to light, or back. */
  theme() {
    const { theme } = document.documentElement.dataset;
    const dark = theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    store(dark ? "light" : "dark");
    this.paint(dark ? "light" : "dark");
  }

  /** Takes a theme, and draws anew what CSS does not reach. */
  paint(theme = "") {
    if (theme) document.documentElement.dataset.theme = theme;
    if (!this.item) return;
    const { scrollTop } = $("detail");
    this.show(this.item);
    for (const canvas of $("rows").querySelectorAll("canvas")) canvas.paint();
    $("detail").scrollTop = scrollTop;
  }

  pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
    if (event.target === $("search")) {
      this.searching(event);
      return;
    }
    if (event.target.tagName === "SELECT") return;
    const pressing = event.target.tagName === "BUTTON" && ["Enter", " "].includes(event.key);
    const does = pressing ? undefined : this.keys[event.key];
    if (!does) return;
    event.preventDefault();
    does(event);
  }

  searching(event) {
    if (event.key === "Escape") {
      $("search").value = "";
      this.narrow({ words: "" });
    }
    if (!["Escape", "Enter", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    this.narrow({ words: $("search").value });
    this.tree.box.focus();
    if (event.key !== "Escape")
      this.choose(this.tree.items.find((item) => item.level && this.hit(item)));
  }

  hit(item) {
    const { filter, words } = this.tree;
    return FILTERS[filter][1](item) && item.text.includes(words.toLowerCase());
  }

  bound() {
    const { tree } = this;
    const go = (distance) => () => this.choose(tree.beside(distance));
    const cycle = (of, name) => () => {
      const names = Object.keys(of);
      this.narrow({ [name]: names[(names.indexOf(tree[name]) + 1) % names.length] });
    };
    const scroll = (event) =>
      $("detail").scrollBy(0, $("detail").clientHeight * (event.shiftKey ? -0.8 : 0.8));
    return {
      j: go(1),
      ArrowDown: go(1),
      k: go(-1),
      ArrowUp: go(-1),
      l: () => this.into(),
      ArrowRight: () => this.into(),
      h: () => this.outOf(),
      ArrowLeft: () => this.outOf(),
      g: go(-Infinity),
      Home: go(-Infinity),
      G: go(Infinity),
      End: go(Infinity),
      n: () => this.failure(1),
      N: () => this.failure(-1),
      " ": scroll,
      Enter: () => {
        this.choose(this.item, true);
        $("article").focus({ preventScroll: true });
      },
      Escape: () => this.list(),
      "/": () => {
        this.list();
        $("search").focus();
        $("search").select();
      },
      f: cycle(FILTERS, "filter"),
      o: cycle(ORDERS, "order"),
      t: () => this.theme(),
      "?": () => $("keys").showModal(),
    };
  }

  into() {
    const { tree, item } = this;
    if (item.children.length && !tree.isOpen(item) && !tree.narrowed) tree.toggle(item, true);
    else if (item.children.length) this.choose(tree.beside(1));
  }

  outOf() {
    const { tree, item } = this;
    if (item.children.length && tree.isOpen(item) && !tree.narrowed && item.parent)
      tree.toggle(item, false);
    else this.choose(item.parent);
  }

  /** The next step or sub-query that failed, whether its row is shown or not. */
  failure(direction) {
    const all = [...everything(this.root)];
    const here = all.indexOf(this.item);
    const order = direction > 0 ? all.slice(here + 1) : all.slice(0, here).reverse();
    this.choose(order.find(troubled));
  }
}

function meters(root) {
  const spend = root.run.ended?.spend;
  const limits = root.run.started?.limits ?? {};
  const sum = root.sum;
  const tokens = spend ? spend.planner_tokens + spend.sub_tokens : sum.tokens;
  const rows = [
    ["steps", spend?.steps ?? root.run.steps.size ?? 0, count],
    ["calls", spend?.calls ?? sum.calls, count],
    ["tokens", tokens, count],
    ["cost", spend?.dollars ?? sum.dollars, money, limits.dollars],
    ["time", spend?.seconds ?? root.until, clock, limits.seconds],
  ];
  return rows.map(([name, value, said, limit = limits[name]]) => {
    const meter = el("div", null, el("dt", null, name), el("dd", null, said(value)));
    if (limit === undefined) return meter;
    meter.lastChild.append(el("small", null, ` of ${said(limit).replace(/\.00$/, "")}`));
    const full = el("i", { class: value >= limit * 0.9 ? "full" : "" });
    full.style.width = `${Math.min((100 * value) / (limit || 1), 100)}%`;
    meter.append(el("span.limit", null, full));
    return meter;
  });
}

const narrow = () => matchMedia("(max-width: 800px)").matches;

function decode(hash) {
  try {
    return decodeURIComponent(hash);
  } catch {
    return "";
  }
}

// A page opened from a file or in a frame may have no storage: the choice then lasts as long as it.
function stored() {
  try {
    return localStorage.getItem("rlm-theme");
  } catch {
    return null;
  }
}

function store(theme) {
  try {
    localStorage.setItem("rlm-theme", theme);
  } catch {
    // Nothing is lost but the choice.
  }
}

new Page(JSON.parse($("record").textContent));
