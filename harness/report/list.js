// The list of cases: filters, order, and only the rows that are in sight.
const ROW = 44;

const makeList = (data, open) => {
  const { index, blockOf } = data, suites = index.suites;
  const field = (name) => byId("f-" + name);
  const names = ["q", "suite", "system", "metric", "state", "cause", "tag", "change", "sort"];
  const all = [];
  suites.forEach((suite, s) => suite.ids.forEach((id, i) => all.push({ s, i, id })));
  let shown = all, columns = [], current = -1, found = null, searching = 0;

  const unique = (lists) => [...new Set(lists.flat())];
  const chosen = () => {
    const name = field("suite").value;
    return name ? suites.filter((suite) => suite.name === name) : suites;
  };
  const fill = (name, first, values) => {
    const select = field(name), kept = select.value;
    select.replaceChildren(...[["", first], ...values].map(([value, text]) => {
      const made = el("option", "", text);
      made.value = value;
      return made;
    }));
    select.value = kept;
    if (select.selectedIndex < 0) select.value = "";
    select.hidden = values.length < (name === "suite" || name === "system" || name === "metric" ? 2 : 1);
  };
  const same = (list) => list.map((value) => [value, value]);
  const refill = () => {
    const some = chosen();
    fill("suite", "All suites", same(suites.map((suite) => suite.name)));
    fill("system", "All systems", same(unique(some.map((suite) => suite.systems))));
    fill("metric", "All metrics", same(unique(some.map((suite) => suite.metrics))));
    fill("tag", "All tags", same(unique(some.map((suite) => suite.tags)).sort()));
    fill("state", "All states", [["m", "✕ missed"], ["x", "◐ differs between epochs"], ["p", "✓ passed"],
      ["u", "? unscored"], ["e", "! errored"], ["n", "– not run"]]);
    fill("cause", "Any cause", unique(some.map((suite) => suite.categories)).sort().map((name) => [name, name.replaceAll("_", " ")]));
    fill("change", "Any change", some.some((suite) => suite.before)
      ? [["lost", "newly missed"], ["gained", "newly passed"]] : []);
    fill("sort", "In the suite's order", [["worst", "Most missed first"], ["id", "By name"],
      ...(some.some((suite) => suite.values.some((row) => row.some((v) => v))) ? [["low", "Lowest value first"]] : [])]);
  };

  const metricOf = (suite) => suite.metrics.indexOf(field("metric").value);
  const cell = (suite, system, i) => {
    const metric = metricOf(suite);
    if (field("metric").value && metric < 0) return " ";
    return metric < 0 ? worstOf(suite, system, i) : stateOf(suite, metric, system, i);
  };
  const valueOf = (suite, system, i) => {
    const metric = suite.metrics.length === 1 ? 0 : metricOf(suite);
    const column = metric < 0 ? null : suite.values[metric][system];
    return column ? column[i] : null;
  };
  const cells = (suite, i) => suite.systems.map((_, system) => cell(suite, system, i));

  const changed = (suite, systems, i, change) => {
    if (!suite.before) return false;
    const metric = metricOf(suite), metrics = metric < 0 ? suite.metrics.keys() : [metric];
    for (const m of metrics) for (const system of systems) {
      const before = suite.before[m][system], now = stateOf(suite, m, system, i);
      if (!before) continue;
      if (change === "lost" ? before[i] === "p" && "mx".includes(now) : before[i] === "m" && now === "p") return true;
    }
    return false;
  };

  const caused = (suite, systems, i, cause) => {
    const metric = metricOf(suite), metrics = metric < 0 ? [...suite.metrics.keys()] : [metric];
    return metrics.some((m) => systems.some((system) => causeOf(suite, m, system, i) === cause));
  };

  const fits = ({ s, i, id }) => {
    const suite = suites[s], value = (name) => field(name).value;
    if (value("suite") && suite.name !== value("suite")) return false;
    const only = value("system"), at = suite.systems.indexOf(only);
    if (only && at < 0) return false;
    const systems = only ? [at] : [...suite.systems.keys()];
    if (value("metric") && metricOf(suite) < 0) return false;
    if (value("state") && !systems.some((system) => cell(suite, system, i) === value("state"))) return false;
    if (value("cause") && !caused(suite, systems, i, value("cause"))) return false;
    if (value("tag") && !(suite.tagged && suite.tagged[i].includes(suite.tags.indexOf(value("tag"))))) return false;
    if (value("change") && !changed(suite, systems, i, value("change"))) return false;
    if (field("differs").checked && new Set(cells(suite, i).filter((c) => c !== " ")).size < 2) return false;
    return !found || found.has(s + "/" + i) || id.toLowerCase().includes(value("q").trim().toLowerCase());
  };

  const badness = ({ s, i }) => cells(suites[s], i).reduce((sum, c) => sum + ("me".includes(c) ? 1 : c === "x" ? 0.5 : 0), 0);
  const lowest = ({ s, i }) => Math.min(...suites[s].systems.map((_, system) => valueOf(suites[s], system, i) ?? Infinity));
  const sorted = (list) => {
    const by = { worst: (row) => -badness(row), low: lowest }[field("sort").value];
    if (by) return list.map((row) => [by(row), row]).sort((a, b) => a[0] - b[0]).map((pair) => pair[1]);
    return field("sort").value === "id" ? [...list].sort((a, b) => a.id < b.id ? -1 : 1) : list;
  };

  const apply = () => {
    refill();
    columns = unique(chosen().map((suite) => suite.systems));
    shown = sorted(all.filter(fits));
    current = -1;
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${counted(all.length, "case")}`;
    byId("none").hidden = shown.length > 0;
    byId("rows").scrollTop = 0;
    head();
    byId("all").style.height = shown.length * ROW + "px";
    draw();
  };

  const head = () => {
    const row = byId("lhead");
    row.replaceChildren(el("span", "c-id", "Case"), ...columns.map((name) => {
      const made = el("span", "c-sys", name);
      made.title = visible(name);
      return made;
    }), el("span", "c-in", "Input"));
    for (const child of row.children) child.setAttribute("role", "columnheader");
    byId("explorer").style.setProperty("--systems", columns.length);
  };

  const rowOf = (at) => {
    const { s, i, id } = shown[at], suite = suites[s];
    const row = el("div", "lrow" + (at === current ? " on" : ""));
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", at + 1);
    row.style.transform = `translateY(${at * ROW}px)`;
    const tags = suite.tagged ? suite.tagged[i].map((t) => suite.tags[t]).join(" ") : "";
    const link = button("link", id, () => open(s, i, at));
    link.tabIndex = -1;
    row.append(el("span", "c-id", link, el("small", "", suites.length > 1 ? `${suite.name} ${tags}` : tags)));
    for (const name of columns) {
      const system = suite.systems.indexOf(name), letter = system < 0 ? " " : cell(suite, system, i);
      const value = system < 0 ? null : valueOf(suite, system, i);
      const made = el("span", "c-sys s-" + letter, GLYPHS[letter], value === null ? "" : ` ${Number(value.toPrecision(3))}`);
      made.setAttribute("aria-label", visible(`${name}: ${STATES[letter] || (letter === "x" ? "differs" : "none")}`));
      row.append(made);
    }
    const preview = el("span", "c-in", suite.previews[i]);
    preview.dir = "auto";
    row.append(preview);
    for (const child of row.children) child.setAttribute("role", "cell");
    row.addEventListener("click", (event) => { if (event.target !== link) open(s, i, at); });
    return row;
  };

  const draw = () => {
    const box = byId("rows"), first = Math.max(0, Math.floor(box.scrollTop / ROW) - 8);
    const last = Math.min(shown.length, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 8);
    const rows = [];
    for (let at = first; at < last; at++) rows.push(rowOf(at));
    byId("all").replaceChildren(...rows);
  };

  const move = (to) => {
    if (!shown.length) return;
    current = Math.max(0, Math.min(shown.length - 1, to));
    const box = byId("rows"), top = current * ROW;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + ROW > box.scrollTop + box.clientHeight) box.scrollTop = top + ROW - box.clientHeight;
    draw();
  };

  // Searches what the blocks hold, a block at a time, so that typing stays quick.
  const search = async () => {
    const words = field("q").value.trim().toLowerCase(), mine = ++searching;
    if (!words) { found = null; apply(); return; }
    const hits = new Set();
    suites.forEach((suite, s) => suite.ids.forEach((id, i) => {
      const tags = suite.tagged ? suite.tagged[i].map((t) => suite.tags[t]).join(" ") : "";
      if (`${id} ${tags} ${suite.previews[i]}`.toLowerCase().includes(words)) hits.add(s + "/" + i);
    }));
    found = hits;
    apply();
    for (const [s, suite] of suites.entries()) {
      for (let start = 0; start < suite.ids.length; start += index.size) {
        const cases = await blockOf(suite, start);
        if (mine !== searching) return;
        for (const [i, held] of cases) {
          held.text ??= [held.input, held.expected, ...held.outputs.map((o) => `${o.text ?? ""}\n${o.error ?? ""}`),
            ...held.reasons.map((r) => r.reason)].join("\n").toLowerCase();
          if (held.text.includes(words)) hits.add(s + "/" + (start + i));
        }
      }
    }
    apply();
  };

  const set = (values) => {
    for (const name of names) field(name).value = values.get(name) || "";
    field("differs").checked = values.get("differs") === "1";
    refill();
    for (const name of names) if (name !== "q") field(name).value = values.get(name) || "";
    return search();
  };
  const values = () => {
    const kept = names.map((name) => [name, field(name).value]).filter((pair) => pair[1]);
    return new URLSearchParams(field("differs").checked ? [...kept, ["differs", "1"]] : kept);
  };
  const at = (position) => shown[position];
  const indexOf = (s, i) => shown.findIndex((row) => row.s === s && row.i === i);
  const size = () => shown.length;
  return { apply, draw, move, search, set, values, at, indexOf, size, field, names, position: () => current };
};
