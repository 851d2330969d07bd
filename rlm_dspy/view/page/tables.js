// Tables: the attempts of a sub-query, and what a run spent.

const ROLES = new Map([
  ["plan", "planning"],
  ["sub_query", "sub-queries"],
  ["extract", "extraction"],
  ["direct", "direct answer"],
]);

const note = (charge) =>
  charge.error || (charge.cache_hit ? "from the cache" : charge.estimated ? "estimated" : "");

const attemptTable = (charges) =>
  grid(charges, {
    "-model": (charge) => charge.model,
    prompt: (charge) => count(charge.prompt_tokens),
    "of it cached": (charge) => count(charge.cached_tokens),
    reply: (charge) => count(charge.completion_tokens),
    cost: (charge) => money(charge.dollars),
    "ended at": (charge) => clock(charge.at),
    "-": note,
  });

const toolTable = (calls) =>
  grid(calls, {
    "-tool": ({ tool }) => tool,
    "-gave": ({ recorded, value, error, reason }) =>
      error ? `${error}: ${reason}` : recorded === false ? "(not recorded)" : brief(value),
    "ran for": ({ seconds }) => clock(seconds),
  });

/**
 * A table: a column's name, and what it says of a row; "-" before the name of one of texts. A
 * column that says nothing is left out.
 */
function grid(rows, columns) {
  const names = Object.keys(columns).filter((name) =>
    rows.some((row) => !["", "0", "–"].includes(columns[name](row))),
  );
  const cells = (tag, say) =>
    names.map((name) => el(name.startsWith("-") ? tag : `${tag}.number`, null, say(name)));
  return el(
    "div.wide",
    null,
    el(
      "table.grid",
      null,
      el(
        "thead",
        null,
        el(
          "tr",
          null,
          cells("th", (name) => name.replace("-", "")),
        ),
      ),
      el(
        "tbody",
        null,
        rows.map((row) =>
          el(
            "tr",
            null,
            cells("td", (name) => columns[name](row)),
          ),
        ),
      ),
    ),
  );
}

/** What each role spent on each model, sub-runs apart. */
function spendTable(root) {
  const rows = new Map();
  for (const item of everything(root)) {
    for (const charge of item.charges) {
      const depth = charge.run ? charge.run.split(".").length : 0;
      const role = (ROLES.get(charge.role) ?? charge.role) + (depth ? `, level ${depth}` : "");
      const key = `${role}\n${charge.model}`;
      if (!rows.has(key)) rows.set(key, { role, model: charge.model, charges: [] });
      rows.get(key).charges.push(charge);
    }
  }
  const sum = (of) => (row) => row.charges.reduce((all, charge) => all + Number(of(charge)), 0);
  const total = (of) => (row) => count(sum(of)(row));
  return grid([...rows.values()], {
    "-": (row) => row.role,
    "-model": (row) => row.model,
    calls: total((charge) => !charge.cache_hit),
    failed: total((charge) => charge.error !== ""),
    "from cache": total((charge) => charge.cache_hit),
    prompt: total((charge) => charge.prompt_tokens),
    "of it cached": total((charge) => charge.cached_tokens),
    reply: total((charge) => charge.completion_tokens),
    cost: (row) => money(sum((charge) => charge.dollars)(row)),
  });
}
