// Prompts and replies of attempts at models: each text is in the record once, by its number.

/** Hangs the attempts at models under what they were made for. */
function attach({ texts = [], of = [] } = {}, runs, root) {
  const known = new Set(); // a search finds a text where it stands first
  for (const { run: name, kind, number, made } of of) {
    const run = runs.get(name);
    const owner = (kind === "query" ? run?.queries : run?.steps)?.get(number) ?? run?.item ?? root;
    for (const attempt of made) {
      const ends = kind !== "query" && ["extract", "direct"].includes(attempt.role);
      const item = (ends && run?.ending) || owner;
      attempt.messages = attempt.messages.map(([role, text]) => ({ role, text, said: texts[text] }));
      const parts = [...attempt.messages.map((message) => message.text), attempt.reply];
      attempt.own = parts.filter((text) => !known.has(text)).map((text) => texts[text]);
      for (const text of parts) known.add(text);
      attempt.reply = texts[attempt.reply];
      (item.attempts ??= []).push(attempt);
    }
  }
}

/** How many messages two prompts begin with alike. */
function alike(one, other) {
  const end = one.findIndex(
    ({ role, text }, at) => text !== other[at]?.text || role !== other[at]?.role,
  );
  return end < 0 ? one.length : end;
}

/** The prompt and the reply of each attempt made for an item. */
function attemptsOf(item) {
  const attempts = item.attempts ?? [];
  const several = attempts.length > 1;
  return attempts.map((attempt, number) => {
    const { model, role, prompt_tokens, completion_tokens, dollars, error, cache_hit } = attempt;
    const name = several ? `Attempt ${number + 1}: prompt` : "Prompt";
    const before = number ? attempts[number - 1] : planBefore(item);
    return [
      section(
        name,
        facts(
          ROLES.get(role) ?? role,
          model,
          prompt_tokens ? counted(prompt_tokens, "token") : "",
          cache_hit ? "from the cache" : "",
        ),
        messages(attempt.messages, before?.messages ?? [], number > 0),
      ),
      section(
        several ? `Attempt ${number + 1}: reply` : "Reply",
        facts(
          completion_tokens ? counted(completion_tokens, "token") : "",
          dollars ? money(dollars) : "",
        ),
        error ? problem(error) : null,
        attempt.reply ? box("message", attempt.reply) : null,
      ),
    ];
  });
}

/** The last attempt at the step before, whose prompt a step's own begins with. */
function planBefore({ kind, parent, from }) {
  if (kind !== "step") return undefined;
  const steps = parent.children.filter((child) => child.kind === "step" && child.from < from);
  return steps.at(-1)?.attempts?.at(-1);
}

/** Messages; those that the prompt before begins with too only when they are asked for. */
function messages(all, before, again) {
  const same = alike(all, before);
  const from = same < all.length || again ? same : 0;
  const body = el("div", null, all.slice(from).map(message));
  if (!from) return body;
  const said = `Show the ${counted(from, "message")} that the prompt before began with`;
  const button = el(
    "button.more",
    {
      type: "button",
      click: () => {
        body.prepend(...all.slice(0, from).map(message));
        button.remove();
      },
    },
    said,
  );
  return el("div", null, button, body);
}

const message = ({ role, said }) =>
  el("div.said", null, el("p.facts", null, role), box("message", said));
