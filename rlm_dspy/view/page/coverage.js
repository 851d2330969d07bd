// What of each document was read: sent to a sub-query, printed to the planner, or only matched.
// Ranges count characters as Python does.

const COVERED = {
  sent: "sent to sub-queries",
  printed: "printed",
  matched: "matched",
  cited: "quoted in the answer",
};
const PART = 8_000; // characters of a document's text in one block

function documentsOf(record, root) {
  const given = record.coverage ?? [];
  if (!given.length) return null;
  const all = new Item("documents", "documents", root);
  Object.assign(all, { name: "Documents", state: "done", documents: given });
  for (const [number, doc] of given.entries()) {
    const item = new Item("document", `document-${number + 1}`, all);
    Object.assign(item, { name: doc.title, state: "done", doc });
  }
  all.label = `${count(given.length)} · ${share(whole(given))} read`;
  return all;
}

/** All documents as if they were one, end to end. */
function whole(documents) {
  const sum = { characters: 0, sent: [], printed: [], matched: [], cited: [] };
  for (const doc of documents) {
    for (const kind of Object.keys(COVERED)) {
      for (const [from, to] of doc[kind] ?? []) {
        sum[kind].push([from + sum.characters, to + sum.characters]);
      }
    }
    sum.characters += doc.characters;
  }
  return sum;
}

/** Ranges in order, what touches joined. */
function joined(ranges) {
  const found = [];
  for (const [from, to] of [...ranges].sort((one, other) => one[0] - other[0])) {
    const last = found.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else if (to > from) found.push([from, to]);
  }
  return found;
}

const covered = (ranges) => joined(ranges).reduce((sum, [from, to]) => sum + to - from, 0);

function percent(part, of) {
  if (!of) return "0 %";
  const value = (100 * part) / of;
  return `${value && value < 9.95 ? value.toFixed(1) : Math.floor(value)} %`;
}

/** How much of a document a model has read. */
function share(doc) {
  return percent(covered([...(doc.sent ?? []), ...(doc.printed ?? [])]), doc.characters);
}

// Draws each strip once it has a size, and anew at another.
const BARS = new ResizeObserver((changed) => {
  for (const { target } of changed) target.paint();
});

/** A strip as long as the document, with what was covered. */
function bar(doc, kinds = ["matched", "printed", "sent", "cited"]) {
  const canvas = el("canvas.bar", { "aria-hidden": "true" });
  canvas.paint = () => {
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (!width) return;
    const pen = sheet(canvas, width, height);
    pen.fillStyle = ink(canvas, "line");
    pen.fillRect(0, 0, width, height);
    for (const kind of kinds) {
      pen.fillStyle = ink(canvas, kind);
      for (const [from, to] of joined(doc[kind] ?? [])) {
        const x = (from / doc.characters) * width;
        pen.fillRect(x, 0, Math.max(((to - from) / doc.characters) * width, 1), height);
      }
    }
  };
  BARS.observe(canvas);
  return canvas;
}

/** One strip a kind, with its numbers. */
function strips(doc) {
  const kinds = Object.entries(COVERED).filter(([kind]) => kind !== "cited" || doc.cited?.length);
  const rows = kinds.map(([kind, said]) => {
    const characters = covered(doc[kind] ?? []);
    return el(
      "tr",
      null,
      el("th", { scope: "row" }, el(`i.${kind}`), said),
      el("td.number", null, count(characters)),
      el("td.number", null, percent(characters, doc.characters)),
      el("td.strip", null, bar(doc, [kind])),
    );
  });
  return el("table.strips", null, el("tbody", null, rows));
}

/** The text of a document, with what was covered marked in it. */
function marked(doc) {
  const units = unitsOf(doc.text);
  const ends = new Set([0, doc.text.length]);
  const kinds = {};
  for (const kind of Object.keys(COVERED)) {
    kinds[kind] = joined(doc[kind] ?? []).map(([from, to]) => [units(from), units(to)]);
    for (const range of kinds[kind]) for (const end of range) ends.add(end);
  }
  const points = [...ends].sort((one, other) => one - other);
  const parts = [el("div.part")];
  let room = PART;
  for (const [index, from] of points.slice(0, -1).entries()) {
    const said = Object.keys(kinds).filter((kind) => {
      while (kinds[kind].length && kinds[kind][0][1] <= from) kinds[kind].shift();
      return kinds[kind].length && kinds[kind][0][0] <= from;
    });
    let piece = doc.text.slice(from, points[index + 1]);
    while (piece) {
      const end = piece.indexOf("\n", Math.min(room, PART * 3)) + 1 || piece.length;
      const text = piece.slice(0, end);
      add(parts.at(-1), [said.length ? el(`span.${said.join(".")}`, null, text) : text]);
      piece = piece.slice(end);
      room -= text.length;
      if (room < 0 && text.endsWith("\n")) {
        parts.push(el("div.part"));
        room = PART;
      }
    }
  }
  return el("pre.document", null, parts);
}

/** From characters as Python counts them to JavaScript's units. */
function unitsOf(text) {
  if (!/[\ud800-\udbff]/.test(text)) return (at) => Math.min(at, text.length);
  const starts = [];
  for (let unit = 0; unit < text.length; unit += text.codePointAt(unit) > 0xffff ? 2 : 1)
    starts.push(unit);
  return (at) => starts[at] ?? text.length;
}
