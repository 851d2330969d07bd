// Numbers, times and texts as a reader sees them, and the one way to an element. Whatever comes
// from the record passes through `shown` and ends in a text node: nothing is ever parsed as HTML.

const LIMIT_LINE = 90;
const LIMIT_LINES = 60;
const LIMIT_CHARACTERS = 12_000;
// Characters that reorder what stands around them, and controls: they are drawn, not obeyed.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const $ = (id) => document.getElementById(id);

function shown(text) {
  return String(text).replace(UNSEEN, (char) => {
    const code = char.charCodeAt(0);
    if (char === "\r") return "";
    return code < 32
      ? String.fromCharCode(0x2400 + code)
      : `⟨U+${code.toString(16).padStart(4, "0")}⟩`;
  });
}

/** An element: el("p.note", {title: "…"}, "text", otherElement); functions are listeners. */
function el(name, properties, ...children) {
  const [tag, ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (typeof value === "function") element.addEventListener(key, value);
    else element.setAttribute(key, value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(2)) {
    if (child === null || child === undefined || child === "") continue;
    element.append(child instanceof Node ? child : shown(child));
  }
}

const count = (number) => number.toLocaleString("en-US");

function counted(number, noun) {
  const plural = noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${count(number)} ${number === 1 ? noun : plural}`;
}

/** A number in at most four characters: 812, 8.1k, 812k, 8.1M. */
function short(number) {
  for (const [unit, size] of [
    ["M", 1e6],
    ["k", 1e3],
  ]) {
    if (number >= size * 0.9995) {
      const part = number / size;
      return `${part < 9.95 ? part.toFixed(1) : Math.round(part)}${unit}`;
    }
  }
  return String(Math.round(number));
}

function clock(seconds) {
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [
    Math.floor(whole / 3600),
    Math.floor(whole / 60) % 60,
    whole % 60,
  ];
  const two = (number) => String(number).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

function money(dollars) {
  if (!dollars) return "–";
  const digits = Math.max(1 - Math.floor(Math.log10(dollars)), 2);
  return `$${dollars.toFixed(Math.min(digits, 8))}`;
}

/** The first line of code that says something. */
function firstLine(code) {
  const lines = code.split("\n").map((line) => line.trim());
  return lines.find((line) => line && !line.startsWith("#")) ?? lines.find((line) => line) ?? "";
}

/** A value as JSON on one line, with a space where a reader expects one. */
function spaced(value) {
  if (Array.isArray(value)) return `[${value.map(spaced).join(", ")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value) ?? "";
  const parts = Object.entries(value).map(
    ([name, part]) => `${JSON.stringify(name)}: ${spaced(part)}`,
  );
  return `{${parts.join(", ")}}`;
}

/** A value on one line. */
function brief(value) {
  const text = typeof value === "string" ? value : spaced(value);
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

/** A value as it is best read: a text as it is, anything else as JSON. */
function pretty(value) {
  if (typeof value === "string") return value;
  const line = spaced(value);
  return line.length > LIMIT_LINE ? JSON.stringify(value, null, 2) : line;
}

/** A text in a box; a long one is cut until the reader wants all of it. */
function box(kind, text, paint = (whole) => [whole]) {
  const body = el(`pre.${kind}`);
  const lines = text.split("\n");
  const cut = lines.length > LIMIT_LINES * 1.2 || text.length > LIMIT_CHARACTERS * 1.2;
  if (!cut) {
    add(body, paint(text));
    return body;
  }
  add(body, paint(lines.slice(0, LIMIT_LINES).join("\n").slice(0, LIMIT_CHARACTERS)));
  const all = `Show all: ${counted(lines.length, "line")}, ${counted(text.length, "character")}`;
  const button = el(
    "button.more",
    {
      type: "button",
      click: () => {
        body.replaceChildren();
        add(body, paint(text));
        button.remove();
      },
    },
    all,
  );
  return el("div", null, body, button);
}
