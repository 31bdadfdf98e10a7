// The packed data: an index read at once, texts in blocks of cases read when they are needed.
const STATES = { p: "passed", m: "missed", u: "unscored", e: "errored", n: "not run" };
const GLYPHS = { p: "✓", m: "✕", u: "?", e: "!", n: "–", x: "◐", " ": "" };
const WORST = "emxunp "; // which state speaks for several

const unpack = async (packed) => {
  const raw = atob(packed), bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
};

const readPayload = async () => {
  const index = await unpack(byId("index").textContent);
  const holders = [...document.querySelectorAll("script.block")];
  const read = new Map();
  const blockOf = (suite, i) => {
    const at = suite.first + Math.floor(i / index.size);
    if (!read.has(at)) read.set(at, unpack(holders[at].textContent).then(arranged));
    return read.get(at);
  };
  return { index, blockOf };
};

// A block's rows by case, its texts put together again.
const arranged = (packed) => {
  const text = (at) => at === null ? null : Array.isArray(at)
    ? at.slice(1).map((i) => packed.texts[i]).join(at[0] ? "\\n" : "\n") : packed.texts[at];
  const cases = new Map();
  const of = (i) => {
    if (!cases.has(i)) cases.set(i, { outputs: [], reasons: [], before: [] });
    return cases.get(i);
  };
  packed.cases.forEach((row, i) => {
    const [input, expected, context, metadata] = row.map(text);
    Object.assign(of(i), { input, expected, context, metadata });
  });
  for (const row of packed.outputs) {
    const [i, system, epoch, ...rest] = row;
    const [body, prompt, passages, steps, calls, error, finish] = rest.slice(0, 7).map(text);
    const [latency, promptTokens, completionTokens, attempts, flags, kept] = rest.slice(7);
    of(i).outputs.push({ system, epoch, text: body, prompt, passages, steps, calls, error, finish,
      latency, promptTokens, completionTokens, attempts, cached: flags & 1, refused: flags & 2, kept });
  }
  for (const [i, system, metric, epoch, reason] of packed.reasons) {
    of(i).reasons.push({ system, metric, epoch, reason: text(reason) });
  }
  for (const [i, system, epoch, old] of packed.before) of(i).before.push({ system, epoch, text: text(old) });
  return cases;
};

// One letter for a case on a system: the metric's, over epochs; x where epochs differ.
const stateOf = (suite, metric, system, i) => {
  const letters = suite.states[metric][system], k = suite.epochs;
  const first = letters[i * k];
  for (let e = 1; e < k; e++) {
    const next = letters[i * k + e];
    if (next !== first && next !== " ") return first === " " ? next : "x";
  }
  return first;
};

// Why a case was missed, where the error analysis says so.
const causeOf = (suite, metric, system, i) => {
  const letter = suite.causes ? suite.causes[metric][system].charCodeAt(i) - 97 : -1;
  return letter < 0 ? null : suite.categories[letter];
};

const worstOf = (suite, system, i) => {
  let worst = 6;
  for (let metric = 0; metric < suite.metrics.length && worst > 0; metric++) {
    worst = Math.min(worst, WORST.indexOf(stateOf(suite, metric, system, i)));
  }
  return WORST[worst];
};
