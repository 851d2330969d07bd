// What an answer quotes, and where in the documents it stands.

/** The citations in a value, however deep, in order. */
function* citations(value) {
  if (value === null || typeof value !== "object") return;
  if ("quote" in value && "how" in value) yield value;
  else for (const part of Object.values(value)) yield* citations(part);
}

/** Finds the documents of what the answer quotes, and marks there what is quoted. */
function quote(root) {
  const { outputs, found } = root.run;
  root.quotes = [...citations(outputs), ...citations(found)].map((citation) => {
    const { document: title, offset, start, end } = citation;
    const holds = ({ doc }) => doc.title === title && offset + end - start <= doc.characters;
    const placed = Number.isFinite(offset) && root.documents?.children.find(holds);
    if (!placed) return { citation };
    // A quote that begins in a title line begins before its document.
    (placed.doc.cited ??= []).push([Math.max(offset, 0), offset + end - start]);
    (placed.doc.quotes ??= []).push(citation);
    return { citation, document: placed };
  });
}

/** What the answer quotes, each with the way to its document. */
function sourcesOf({ quotes }, choose) {
  if (!quotes?.length) return null;
  const rows = quotes.map(({ citation, document: item }) =>
    el(
      "li",
      null,
      item ? link(placeOf(citation), item, choose) : el("span.operator", null, placeOf(citation)),
      el("span.label", null, brief(citation.text ?? citation.quote)),
      sureness(citation),
    ),
  );
  return section("Sources", el("ul.asked.sources", null, rows));
}

/** What the answer quotes of one document. */
function quotedIn({ quotes, text }) {
  if (!quotes || text) return null; // marked in the text
  const rows = quotes.map((citation) =>
    el("li", null, box("message", citation.text ?? citation.quote), facts(`line ${citation.line}`)),
  );
  return section("Quoted in the answer", el("ul.items", null, rows));
}

const placeOf = ({ document: title, source, line }) =>
  [title ?? source ?? "no source", line].filter(Boolean).join(":");

const sureness = ({ how }) =>
  how === "exact" ? "" : el(how === "unverified" ? "span.trouble" : "span.operator", null, how);
