// Python with colours: one pass of one expression, each piece a span with its kind as the class.

const KEYWORDS = new Set(
  (
    "and as assert async await break case class continue def del elif else except finally for from " +
    "global if import in is lambda match nonlocal not or pass raise return try while with yield"
  ).split(" "),
);
const CONSTANTS = new Set(["True", "False", "None", "true", "false", "null"]);
const ASKS = new Set(
  (
    "ask ask_each keep combine llm_query llm_query_batched rlm_query rlm_query_batched SUBMIT " +
    "show_vars"
  ).split(" "),
);
const PIECE = new RegExp(
  [
    String.raw`(?<comment>#[^\n]*)`,
    String.raw`(?<string>(?:\b[rbfuRBFU]{1,2})?(?:"""[^]*?(?:"""|$)|'''[^]*?(?:'''|$)` +
      String.raw`|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?))`,
    String.raw`(?<number>\b\d[\w.]*)`,
    String.raw`(?<word>[\p{ID_Start}_]\p{ID_Continue}*)`,
  ].join("|"),
  "gu",
);

/** Pieces of code for a box: texts and spans. */
function coloured(code) {
  const pieces = [];
  let end = 0;
  let before = "";
  for (const found of code.matchAll(PIECE)) {
    const kind = kindOf(found, code, before);
    before = found[0];
    if (!kind) continue;
    if (found.index > end) pieces.push(code.slice(end, found.index));
    pieces.push(el(`span.${kind}`, null, found[0]));
    end = found.index + found[0].length;
  }
  if (end < code.length) pieces.push(code.slice(end));
  return pieces;
}

function kindOf(found, code, before) {
  const { comment, string, number, word } = found.groups;
  if (comment) return "comment";
  if (string) return "string";
  if (number || CONSTANTS.has(word)) return "number";
  if (KEYWORDS.has(word)) return "keyword";
  if (before === "def" || before === "class") return "defined";
  return ASKS.has(word) && code[found.index + word.length] === "(" ? "asks" : "";
}

/** A step's code with its line numbers, as errors name them. */
function codeBox(code) {
  const lines = code.replace(/\n+$/, "");
  const numbers = (text) =>
    text
      .split("\n")
      .map((_, line) => line + 1)
      .join("\n");
  return box("code", lines, (text) => [
    el("span.lines", { "aria-hidden": "true" }, numbers(text)),
    el("code", null, coloured(text)),
  ]);
}
