// One case in full: input, what was expected, and the answers of every system side by side.
const PROSE = (stored) => {
  if (stored === null || stored === undefined) return "";
  let value;
  try { value = JSON.parse(stored); } catch { return stored; }
  if (typeof value === "string") return value;
  if (Array.isArray(value) && value.every((m) => m && typeof m === "object" && "content" in m)) {
    return value.map((m) => `${m.role ?? ""}:\n${typeof m.content === "string" ? m.content : JSON.stringify(m.content)}`).join("\n\n");
  }
  return JSON.stringify(value, null, 2);
};

const parsed = (stored) => {
  try { return JSON.parse(stored ?? "null"); } catch { return null; }
};

const part = (title, ...children) => {
  const made = el("div", "blk", el("p", "lab", title), ...children);
  return made;
};

const folded = (title, build) => {
  const made = el("details", "blk", el("summary", "", title));
  made.addEventListener("toggle", () => { if (made.open && made.children.length === 1) made.append(build()); });
  return made;
};

const stateMark = (letter, name) => el("span", "st s-" + letter, el("i", "", GLYPHS[letter]), name);

const passageList = (passages, gold) => {
  const wanted = new Set(gold.map((g) => g.id)), golden = new Set(wanted), list = el("ol", "pass");
  passages.forEach((passage, at) => {
    // A chunk is gold where its unit or its document is: as harness.metrics.retrieval names them.
    const unit = passage.id.replace(/~\d+$/, ""), named = [passage.id, unit, unit.split("#")[0]];
    const hit = named.some((id) => wanted.has(id));
    named.forEach((id) => golden.delete(id));
    const name = el("span", "", (hit ? "◇ " : "") + passage.id + (hit ? " (gold)" : ""));
    if (passage.text) name.append(block(passage.text, "ptext", "div"));
    list.append(el("li", hit ? "gold" : "", el("span", "", String(passage.rank ?? at + 1)), name,
      el("span", "num", passage.score === null || passage.score === undefined ? "" : Number(passage.score).toFixed(2))));
  });
  for (const id of golden) list.append(el("li", "gap", el("span", "", "–"), el("span", "", `◇ ${id} (gold, not retrieved)`), el("span", "")));
  return list;
};

const scoreLines = (suite, i, system, epoch, held) => suite.metrics.map((metric, m) => {
  const letter = suite.states[m][system][i * suite.epochs + epoch];
  if (letter === " ") return null;
  const values = suite.values[m][system], value = values && suite.epochs === 1 ? values[i] : null;
  const said = held.reasons.find((r) => r.system === system && r.metric === m && r.epoch === epoch);
  const cause = letter === "m" || letter === "e" ? causeOf(suite, m, system, i) : null;
  const line = el("div", "score", stateMark(letter, metric), value === null ? "" : ` ${value}`,
    cause && el("span", "tag", cause.replaceAll("_", " ")));
  if (said) line.append(block(said.reason, "why", "p"));
  return line;
});

const numbersOf = (output) => [
  output.latency === null ? "" : `${output.latency.toFixed(2)} s`,
  output.promptTokens === null ? "" : `${output.promptTokens.toLocaleString("en")} + ${output.completionTokens ?? 0} tokens`,
  output.attempts > 1 ? `attempt ${output.attempts}` : "",
  output.cached ? "from cache" : "fresh",
  output.finish && output.finish !== "stop" ? `finish: ${output.finish}` : "",
  output.refused ? "refused" : "",
].filter(Boolean).join(" · ");

const answerOf = (output, reference) => {
  if (output.error !== null) return block(output.error, "out al", "div");
  if (!output.kept) return el("p", "dim", "The text is in outputs.parquet, beside this page.");
  if (!output.text) return el("p", "dim", "(empty)");
  if (output.kept === 2) return el("div", "", block(output.text + " …", "out", "div"), el("p", "dim fine", "The rest is in outputs.parquet."));
  return reference === null || reference === undefined ? block(output.text, "out", "div") : diffNodes(reference, output.text)[1];
};

const outputCard = (suite, i, system, held, reference) => {
  const name = suite.systems[system], box = el("article", "ans" + (name === suite.champion ? " ch" : ""));
  box.append(el("h4", "", name, name === suite.champion ? el("span", "flag", " champion") : ""));
  const mine = held.outputs.filter((output) => output.system === system);
  if (!mine.length) box.append(el("p", "dim", "No output."));
  for (const output of mine) {
    if (suite.epochs > 1) box.append(el("p", "lab", `Epoch ${output.epoch + 1} of ${suite.epochs}`));
    box.append(answerOf(output, reference));
    box.append(...scoreLines(suite, i, system, output.epoch, held).filter(Boolean));
    const passages = parsed(output.passages), steps = parsed(output.steps), calls = parsed(output.calls);
    if (passages) box.append(folded(counted(passages.length, "passage"), () => passageList(passages, parsed(held.context) || [])));
    if (calls) box.append(folded(counted(calls.length, "tool call"), () => el("div", "", ...calls.map((call) =>
      block(`${call.name}(${JSON.stringify(call.arguments)})${call.result === null ? "" : "\n→ " + call.result}`)))));
    if (steps) box.append(folded(counted(steps.length, "step"), () => el("div", "", ...steps.map((step) =>
      el("div", "", el("p", "lab", step.name), block(step.text || ""))))));
    if (output.prompt !== null) box.append(folded("Prompt as sent", () => block(PROSE(output.prompt))));
    box.append(el("p", "dim fine", numbersOf(output)));
  }
  const line = command(suite.file, suite.ids[i], name);
  box.append(folded("Reproduce", () => el("div", "", block(line), button("btn", "Copy command", () => copy(line, "Command copied")))));
  return box;
};

const makeDrawer = (data, moved) => {
  const { index, blockOf } = data, drawer = byId("drawer");
  let at = null, against = "";

  const compareField = (suite, held, draw) => {
    const select = el("select", "");
    select.setAttribute("aria-label", "Show differences from");
    const options = [["", "No comparison"], ...(held.expected === null ? [] : [["=", "Differences from expected"]]),
      ...suite.systems.map((name) => [name, `Differences from ${name}`])];
    select.append(...options.map(([value, text]) => { const made = el("option", "", text); made.value = value; return made; }));
    select.value = options.some((pair) => pair[0] === against) ? against : "";
    select.addEventListener("change", () => { against = select.value; draw(); });
    return select;
  };

  const referenceFor = (suite, held, system) => {
    if (against === "=") return held.expected === null ? null : PROSE(held.expected);
    const other = suite.systems.indexOf(against);
    if (other < 0 || other === system) return null;
    return held.outputs.find((output) => output.system === other)?.text ?? null;
  };

  const show = async (s, i) => {
    at = { s, i };
    const suite = index.suites[s], cases = await blockOf(suite, i);
    if (at.s !== s || at.i !== i) return;
    const held = cases.get(i % index.size) || { outputs: [], reasons: [], before: [], input: null, expected: null };
    held.expected ??= null;
    const title = byId("d-title");
    title.replaceChildren(el("span", "mono", suite.ids[i]), el("span", "dim", ` ${suite.name}`),
      ...(suite.tagged ? suite.tagged[i].map((t) => el("span", "tag", suite.tags[t])) : []));
    const answers = el("div", "answers");
    const draw = () => answers.replaceChildren(...suite.systems.map((_, system) =>
      outputCard(suite, i, system, held, referenceFor(suite, held, system))));
    draw();
    const gold = parsed(held.context) || [], extra = parsed(held.metadata) || {};
    const about = el("div", "about", part("Input", block(PROSE(held.input), "out", "div")));
    if (held.expected !== null) about.append(part("Expected", block(PROSE(held.expected), "out", "div")));
    if (gold.length) about.append(folded(`Gold ${gold.length === 1 ? "passage" : "passages"}`, () => passageList(gold, gold)));
    if (Object.keys(extra).length) about.append(folded("Metadata", () => block(JSON.stringify(extra, null, 2))));
    byId("d-body").replaceChildren(about, el("div", "tools", el("p", "lab", "Answers"), el("span", "sp"), compareField(suite, held, draw)), answers);
    if (!drawer.open) drawer.showModal();
    drawer.querySelector(".dbox").scrollTop = 0;
  };

  const close = () => { if (drawer.open) drawer.close(); };
  drawer.addEventListener("close", () => { at = null; moved(); });
  drawer.addEventListener("click", (event) => { if (event.target === drawer) close(); });
  byId("d-close").addEventListener("click", close);
  return { show, close, at: () => at };
};

// One flip of the list: the input, the answer before where its text was kept, and the answer now.
const showFlip = async (data, made, open) => {
  const s = Number(made.dataset.suite), i = Number(made.dataset.case), suite = data.index.suites[s];
  const system = suite.systems.indexOf(made.dataset.system);
  const box = el("div", "side");
  made.append(box);
  const held = (await data.blockOf(suite, i)).get(i % data.index.size);
  if (!held) { box.append(el("p", "dim q", "No output.")); return; }
  const now = held.outputs.find((output) => output.system === system);
  const old = held.before.find((output) => output.system === system);
  box.append(el("div", "q", el("p", "lab", "Input"), block(PROSE(held.input), "out", "div")));
  if (old && now && now.kept && now.error === null) {
    const [left, right] = diffNodes(old.text, now.text);
    box.append(el("div", "", el("p", "lab", "Before"), left), el("div", "", el("p", "lab", "This run"), right));
  } else {
    box.append(el("div", "", el("p", "lab", "Before"), el("p", "dim", "The answers of that run were not kept.")));
    box.append(el("div", "", el("p", "lab", "This run"), now ? answerOf(now, null) : el("p", "dim", "No output.")));
  }
  if (held.expected) box.append(el("div", "q", el("p", "lab", "Expected"), block(PROSE(held.expected), "out", "div")));
  box.append(el("div", "q", button("btn", "Everything about this case", () => open(s, i))));
};
