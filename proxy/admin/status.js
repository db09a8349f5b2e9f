"use strict";
// The page is a function of the state: view() says what it should look like, and
// patch() changes what is different, so that nothing flickers, and what is open,
// selected or scrolled stays so. All text goes through text nodes and attributes;
// there is no innerHTML.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const every = 2000; // milliseconds between two looks

  // h describes an element: its tag, attributes (key tells siblings apart), and
  // what is inside: elements, texts, lists of them; null and false are nothing.
  const h = (tag, attributes, ...inside) => ({ tag, attributes: attributes || {}, inside: inside.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false) });

  const make = (v, parent) => {
    if (typeof v !== "object") return document.createTextNode(v);
    const svg = v.tag === "svg" || parent.namespaceURI === SVG;
    const e = svg ? document.createElementNS(SVG, v.tag) : document.createElement(v.tag);
    e._key = v.attributes.key;
    update(e, v);
    return e;
  };

  const fits = (node, v) => typeof v !== "object" ? node.nodeType === 3
    : node.nodeType === 1 && node.localName === v.tag && node._key === v.attributes.key;

  const update = (e, v) => {
    const old = e._attributes || {};
    for (const [name, value] of Object.entries(v.attributes)) {
      if (name === "key" || old[name] === value) continue;
      if (value === false || value === null || value === undefined) e.removeAttribute(name);
      else e.setAttribute(name, value);
    }
    for (const name of Object.keys(old)) if (!(name in v.attributes)) e.removeAttribute(name);
    e._attributes = v.attributes;
    patch(e, v.inside);
  };

  const patch = (parent, wanted) => {
    let at = parent.firstChild;
    for (const v of wanted) {
      let node = at;
      while (node && !fits(node, v)) node = node.nextSibling;
      if (!node) {
        parent.insertBefore(make(v, parent), at);
        continue;
      }
      if (node !== at) parent.insertBefore(node, at);
      else at = at.nextSibling;
      if (typeof v !== "object") {
        if (node.data !== String(v)) node.data = v;
      } else update(node, v);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  // Texts.
  const number = new Intl.NumberFormat("en");
  const fixed = (n, digits) => n.toLocaleString("en", { minimumFractionDigits: 0, maximumFractionDigits: digits });
  const digits = (n) => n >= 100 ? fixed(n, 0) : n >= 10 ? fixed(n, 1) : fixed(n, 2);
  const span = (s) => {
    if (s <= 0) return "0";
    if (s < 0.001) return digits(s * 1e6).replace(/\.\d+$/, "") + " µs";
    if (s < 1) return digits(s * 1e3) + " ms";
    if (s < 60) return fixed(s, s < 10 ? 1 : 0) + " s";
    return long(s);
  };
  const long = (s) => {
    s = Math.max(0, Math.floor(s));
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min" + (s < 600 && s % 60 ? " " + s % 60 + " s" : "");
    if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
    return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
  };
  const size = (n) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let i = 0;
    while (n >= 1024 && i < units.length - 1) { n /= 1024; i++; }
    return (n >= 100 || i === 0 ? fixed(n, 0) : fixed(n, 1)) + " " + units[i];
  };
  const plural = (n, one, many) => number.format(n) + " " + (n === 1 ? one : many || one + "s");
  const zero = (n) => n ? number.format(n) : "–";
  const lapse = (s) => s > 0 ? span(s) : "–"; // of what did not happen

  let state, stale = null, shown = 0;
  const now = () => Date.parse(state.now) + (performance.now() - shown);
  const ago = (at) => {
    const s = (now() - Date.parse(at)) / 1000;
    return s < 2 ? "just now" : long(s) + " ago";
  };
  const time = (at, text) => h("time", { datetime: at, title: new Date(at).toLocaleString() }, text || ago(at));

  const badge = (kind, text) => h("span", { class: "badge " + kind }, text);
  const figures = (pairs) => h("dl", { class: "figures" }, pairs.filter(Boolean).map(([name, value, kind]) =>
    h("div", { key: name }, h("dt", {}, name), h("dd", { class: kind || false }, value))));

  // table makes one of columns [heading, class, cell of a row]; name says what of.
  const table = (name, columns, rows, keyOf, empty, cls) => h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": name },
    h("table", { class: cls || false }, h("caption", { class: "hidden" }, name),
      h("thead", {}, h("tr", {}, columns.map(([head, cls]) => h("th", { scope: "col", class: cls || false }, head)))),
      h("tbody", {}, rows.length ? rows.map((row) => h("tr", { key: keyOf(row) }, columns.map(([, cls, cell]) => h("td", { class: cls || false }, cell(row)))))
        : h("tr", { key: "none" }, h("td", { class: "none", colspan: columns.length }, empty)))));

  // Graphs, of 60 steps: bars of requests by status, lines of latency.
  const W = 300, H = 60;
  const bars = (history) => {
    const counts = history.counts;
    const most = Math.max(1, ...counts.map((c) => c[0] + c[1] + c[2] + c[3]));
    const w = W / counts.length;
    return counts.map((c, i) => {
      let y = H;
      return [0, 1, 2, 3].map((k) => {
        const height = c[k] / most * H;
        y -= height;
        return h("rect", { key: k + "." + i, class: "s" + (k + 2), x: (i * w).toFixed(2), y: y.toFixed(2), width: (w * 0.8).toFixed(2), height: height.toFixed(2) });
      });
    });
  };
  // Latencies are drawn on a logarithmic scale: p50 and p99 may be far apart.
  const line = (points, least, most) => {
    let d = "", pen = false;
    points.forEach((p, i) => {
      if (!p) { pen = false; return; }
      const x = ((i + 0.5) * W / points.length).toFixed(1), y = (H - 3 - Math.log(p / least) / Math.log(most / least) * (H - 6)).toFixed(1);
      d += pen ? "L" + x + " " + y : "M" + x + " " + y + "h.01";
      pen = true;
    });
    return d;
  };
  const graphs = (a) => {
    const peak = Math.max(...a.history.counts.map((c) => c[0] + c[1] + c[2] + c[3])) / a.history.step_seconds;
    const took = a.history.took_us.flat().filter((t) => t > 0);
    const most = Math.max(10, ...took), least = Math.min(most / 10, ...took);
    const minutes = Math.round(a.history.counts.length * a.history.step_seconds / 60);
    return h("div", { class: "graphs" },
      h("figure", {},
        h("figcaption", {}, h("span", {}, h("b", {}, digits(a.rate)), " requests/s"), h("span", {}, "peak " + digits(peak) + ", last " + minutes + " min")),
        h("svg", { viewBox: "0 0 " + W + " " + H, preserveAspectRatio: "none", role: "img", "aria-label": "Requests a second in the last " + minutes + " minutes: " + digits(a.rate) + " on average, " + digits(peak) + " at most" }, bars(a.history))),
      h("figure", {},
        h("figcaption", {}, h("span", {}, h("i", { class: "key p50k" }), "p50 ", h("b", {}, lapse(a.took.p50)), h("i", { class: "key p99k" }), "p99 ", h("b", {}, lapse(a.took.p99))), h("span", {}, took.length ? span(least / 1e6) + " to " + span(most / 1e6) + ", log scale" : "")),
        h("svg", { viewBox: "0 0 " + W + " " + H, preserveAspectRatio: "none", role: "img", "aria-label": "Latency in the last " + minutes + " minutes: half within " + span(a.took.p50) + ", 99 % within " + span(a.took.p99) },
          h("path", { class: "p99", d: line(a.history.took_us[1], least, most) }), h("path", { class: "p50", d: line(a.history.took_us[0], least, most) }))));
  };

  // Parts of the page.
  const failing = () => state.reasons.filter((r) => r.api).map((r) => r.api).slice(0, 3).join(", ");
  const head = () => h("header", {},
    h("span", { class: "brand" }, "rpipe"),
    h("h1", {}, state.name || "proxy"),
    h("span", { role: "status" }, state.draining ? badge("warn", "draining") : state.ready ? badge("ok", "ready") : badge("bad", "not ready" + (failing() ? ": " + failing() : ""))),
    h("div", { class: "facts" },
      h("span", {}, "up " + long((now() - Date.parse(state.started)) / 1000)),
      h("span", {}, state.version),
      h("span", {}, h("i", { class: "beat" }), stale ? "no answer" : "live")));

  const notices = () => [
    stale && h("div", { class: "notice bad", role: "alert", key: "stale" }, h("strong", {}, stale), "This is how it was ", time(state.now), ". Trying again."),
    state.file_error && h("div", { class: "notice warn", key: "file" }, h("strong", {}, "The configuration file could not be read again: the one from before is in force."), h("pre", {}, state.file_error)),
  ];

  const tiles = () => {
    const t = state.total, sum = (f) => state.pools.reduce((n, p) => n + f(p), 0);
    const all = t.statuses["2xx"] + t.statuses["3xx"] + t.statuses["4xx"] + t.statuses["5xx"];
    const waiting = sum((p) => p.queue.interactive), bulk = sum((p) => p.queue.bulk);
    const share = all ? t.statuses["5xx"] / all * 100 : 0;
    const tile = (name, value, unit, note, kind) => h("div", { class: "tile", key: name }, h("dt", {}, name), h("dd", { class: kind || false }, value, unit ? h("small", {}, unit) : null), h("p", {}, note));
    return h("dl", { class: "tiles" },
      tile("Requests", digits(t.rate), "/s", number.format(t.requests) + " since start"),
      tile("Latency, p50", lapse(t.took.p50), "", "p99 " + lapse(t.took.p99)),
      tile("Server errors", digits(share), "%", number.format(t.statuses["5xx"]) + " in " + long(t.window_seconds), share > 0 ? "bad" : ""),
      tile("Workers busy", sum((p) => p.busy), "of " + sum((p) => p.up), "at most " + sum((p) => p.max)),
      tile("Waiting", waiting, "", bulk ? "and " + number.format(bulk) + " of pipelines" : "in flight " + number.format(t.in_flight), waiting > 0 ? "warn" : ""),
      tile("Memory of workers", size(sum((p) => p.rss_bytes)), "", "resident"));
  };

  const states = { ready: "ok", starting: "warn", draining: "warn", failed: "bad" };
  const routeColumns = [
    ["Route", "name", (r) => h("code", {}, r.route)],
    ["Requests", "n", (r) => number.format(r.requests)],
    ["per second", "n low", (r) => digits(r.rate)],
    ["4xx", "n low", (r) => zero(r.statuses["4xx"])],
    ["5xx", "n", (r) => r.statuses["5xx"] ? h("span", { class: "bad" }, number.format(r.statuses["5xx"])) : "–"],
    ["p50", "n", (r) => lapse(r.took.p50)],
    ["p90", "n low", (r) => lapse(r.took.p90)],
    ["p99", "n", (r) => lapse(r.took.p99)],
    ["Wait p99", "n low", (r) => lapse(r.queue.p99)],
    ["In R p50", "n low", (r) => lapse(r.r.p50)],
  ];
  const most = 8; // routes before "more"

  const environmentOf = (a) => state.pools.filter((p) => p.name === a.pool).flatMap((p) => p.environments).find((e) => e.fingerprint === a.environment);
  const retry = (e) => e && e.not_before ? "Next try in " + long((Date.parse(e.not_before) - now()) / 1000 + 1) + "; " + plural(e.failures, "failure") + " in a row." : "";

  const link = (path, text) => /^\/(?!\/)/.test(path) ? h("a", { href: path }, text || path) : text || path;

  const api = (a) => h("article", { class: "card", key: a.name },
    h("div", { class: "top" }, h("h3", {}, a.name), badge(states[a.state] || "", a.state), badge("", a.transport),
      a.reload_error && a.generation > 0 ? badge("warn", "reload failed") : null),
    h("p", { class: "meta" },
      h("span", {}, a.host ? a.host + a.path : link(a.path)),
      a.docs ? h("span", {}, link(a.docs, "docs")) : null,
      a.file ? h("span", {}, h("code", {}, a.file)) : null,
      a.generation ? h("span", {}, "generation " + a.generation + ", since ", time(a.since, long((now() - Date.parse(a.since)) / 1000))) : null,
      h("span", {}, plural(a.requests, "request") + (a.in_flight ? ", " + a.in_flight + " in flight" : ""))),
    a.reload_error ? h("div", { class: "notice " + (a.generation ? "warn" : "bad"), key: "reload" },
      h("strong", {}, a.generation ? "The newest code does not work: generation " + a.generation + " still serves." : "This API does not start."),
      a.reloaded ? h("span", { class: "dim" }, "Tried ", time(a.reloaded), ". " + retry(environmentOf(a))) : null,
      h("pre", { tabindex: "0" }, a.reload_error)) : null,
    a.reason && a.reason !== a.reload_error ? h("div", { class: "notice " + (a.state === "failed" ? "bad" : "warn"), key: "reason" },
      h("strong", {}, a.state === "failed" ? "No worker comes up." : "Not ready."), h("span", { class: "dim" }, retry(environmentOf(a))),
      h("pre", { tabindex: "0" }, a.reason)) : null,
    a.requests || a.generation ? graphs(a) : null,
    a.routes.length ? table("Routes of " + a.name, routeColumns, a.routes.slice(0, most), (r) => r.route) : null,
    a.routes.length > most ? h("details", { class: "more" }, h("summary", {}, number.format(a.routes.length - most) + " more routes"),
      table("More routes of " + a.name, routeColumns, a.routes.slice(most), (r) => r.route)) : null);

  const kinds = { idle: "ok", busy: "info", bulk: "" };
  const workerColumns = [
    ["Worker", "", (w) => h("code", {}, w.pid)],
    ["State", "", (w) => [badge(kinds[w.state] || "", w.state === "bulk" ? "busy: pipeline" : w.state), w.ending ? [" ", badge("warn", "replaced: " + w.ending)] : null]],
    ["For", "n", (w) => span(w.for_seconds)],
    ["Requests", "n", (w) => number.format(w.requests)],
    ["Memory", "n", (w) => w.rss_bytes ? size(w.rss_bytes) : "–"],
    ["Age", "n low", (w) => long(w.age_seconds)],
  ];

  // told: a card of an API has this text already.
  const told = (text) => state.apis.some((a) => (a.reload_error || "").includes(text) || (a.reason || "").includes(text));

  const environment = (p, e) => {
    const what = e.apis.length ? e.apis.join(", ") : e.sources.length ? e.sources.join(", ") : e.packages.join(", ") || "R";
    const how = !e.template ? "no template is up" : e.forks ? "forked from template " + e.template : "each starts its own R" + (e.why_spawn ? ": " + e.why_spawn : "");
    return [
      h("p", { class: "env", key: "p" + e.fingerprint }, h("b", {}, what), h("span", { class: "dim" }, " – " + how + (e.waiting ? ", " + e.waiting + " waiting" : ""))),
      e.failure ? h("div", { class: "notice bad", key: "f" + e.fingerprint }, h("strong", {}, "The last start failed."), h("span", { class: "dim" }, retry(e)), told(e.failure) ? null : h("pre", { tabindex: "0" }, e.failure)) : null,
      !e.failure && e.not_before ? h("div", { class: "notice warn", key: "w" + e.fingerprint }, h("strong", {}, "Workers die; their incidents are below."), h("span", { class: "dim" }, retry(e))) : null,
      h("div", { key: "t" + e.fingerprint }, table("Workers of pool " + p.name + " for " + what, workerColumns, e.workers, (w) => w.pid, e.starting ? plural(e.starting, "worker") + " on the way up" : "none is up", "even")),
    ];
  };

  const squares = (p) => {
    const all = [], add = (n, kind) => { for (let i = 0; i < n; i++) all.push(kind); };
    const bulk = p.environments.reduce((n, e) => n + e.workers.filter((w) => w.state === "bulk").length, 0);
    add(p.busy - bulk, "busy"); add(bulk, "bulk"); add(p.up - p.busy, "idle"); add(p.starting, "starting"); add(p.stopping, "stopping");
    add(p.max - all.length, "free");
    const legend = [["busy", p.busy - bulk], ["busy: pipelines", bulk, "bulk"], ["idle", p.up - p.busy], ["starting", p.starting], ["free places", Math.max(0, p.max - p.up - p.starting - p.stopping), "free"]];
    return [
      h("ul", { class: "workers", "aria-hidden": "true" }, all.slice(0, 256).map((kind, i) => h("li", { key: i, class: kind }))),
      h("div", { class: "legend" }, legend.filter(([, n]) => n > 0).map(([name, n, cls]) => h("span", { key: name }, h("i", { class: "key " + (cls || name) }), n + " " + name))),
    ];
  };

  const counts = (map) => Object.entries(map || {}).map(([cause, n]) => n + " " + cause.replaceAll("_", " ")).join(", ");

  const pool = (p) => h("article", { class: "card", key: p.name },
    h("div", { class: "top" }, h("h3", {}, p.name), h("span", { class: "dim" }, p.min + " to " + p.max + " workers" + (p.reserve ? ", " + p.reserve + " kept for requests" : ""))),
    p.limits.length ? h("p", { class: "meta" }, p.limits.map((l) => h("span", { key: l.name }, l.name + " " + l.value))) : null,
    squares(p),
    figures([
      ["Waiting", number.format(p.queue.interactive) + (p.queue.bulk ? " and " + number.format(p.queue.bulk) + " of pipelines" : ""), p.queue.interactive ? "warn" : ""],
      ["Waits, p50 / p99", p.queue.p99_seconds ? "≤ " + span(p.queue.p50_seconds) + " / " + span(p.queue.p99_seconds) : "–"],
      ["Longest wait", lapse(p.queue.max_seconds)],
      p.queue.refused_full + p.queue.refused_wait > 0 && ["Refused", [p.queue.refused_full && number.format(p.queue.refused_full) + " queue full", p.queue.refused_wait && number.format(p.queue.refused_wait) + " waited too long"].filter(Boolean).join(", "), "bad"],
      ["Done by R", number.format(p.since_start.requests)],
      p.since_start.timeouts > 0 && ["Timed out", number.format(p.since_start.timeouts), "warn"],
      ["Workers started", number.format(p.since_start.workers_started)],
      counts(p.since_start.workers_died) && ["Workers died", counts(p.since_start.workers_died), "bad"],
      counts(p.since_start.workers_recycled) && ["Replaced", counts(p.since_start.workers_recycled)],
      ["Memory", size(p.rss_bytes)],
    ]),
    p.environments.map((e) => environment(p, e)),
    p.incidents.length ? h("details", { class: "more", key: "incidents" }, h("summary", {}, plural(p.incidents.length, "incident") + " of workers"),
      p.incidents.map((i) => h("div", { key: i.time + i.pid }, h("p", { class: "env" }, badge("bad", i.cause.replaceAll("_", " ")), " ", i.pid ? ["worker ", h("code", {}, i.pid), ", "] : null, time(i.time)), h("pre", {}, i.error)))) : null);

  const pipelineColumns = [
    ["Pipeline", "name", (p) => [p.name, p.error ? h("div", { class: "bad" }, p.error) : null]],
    ["State", "", (p) => badge({ running: "info", done: "ok", failed: "bad" }[p.state] || "", p.state)],
    ["Rows", "n", (p) => number.format(p.rows)],
    ["Since", "n", (p) => p.since ? time(p.since) : "–"],
    ["Next run", "n low", (p) => p.next ? time(p.next, "in " + long((Date.parse(p.next) - now()) / 1000)) : "–"],
    ["Pool", "low", (p) => p.pool || "–"],
  ];

  const failure = (f) => h("details", { key: [f.api, f.route, f.method, f.status, f.reason, f.first].join(" ") },
    h("summary", {}, badge("bad", f.status),
      h("span", { class: "what" }, h("code", {}, f.method + " " + f.path), " ", h("span", { class: "dim" }, f.message)),
      h("span", { class: "when" }, f.count > 1 ? h("b", {}, number.format(f.count) + " times, ") : null, time(f.last))),
    h("div", { class: "inside" },
      figures([
        ["API and route", (f.api || "none") + " " + f.route],
        ["Reason", f.reason ? f.reason.replaceAll("_", " ") : "R's own answer"],
        ["Request", h("code", {}, f.request_id || "–")],
        f.worker && ["Worker", h("code", {}, f.worker)],
        ["Took", lapse(f.took_seconds)],
        f.count > 1 && ["First seen", time(f.first)],
      ]),
      h("pre", { tabindex: "0" }, f.message + (f.details ? "\n" + f.details : ""))));

  const view = () => [
    head(),
    notices(),
    h("main", {},
      tiles(),
      h("section", { "aria-labelledby": "apis" }, h("h2", { id: "apis" }, "APIs"), state.apis.length ? state.apis.map(api) : h("p", { class: "dim" }, "None is configured.")),
      h("section", { "aria-labelledby": "pools" }, h("h2", { id: "pools" }, "Workers"), state.pools.map(pool)),
      state.pipelines.length ? h("section", { key: "pipelines", "aria-labelledby": "pipelines" }, h("h2", { id: "pipelines" }, "Pipelines beside"),
        h("div", { class: "card list" }, table("Pipelines", pipelineColumns, state.pipelines, (p) => p.name))) : null,
      h("section", { "aria-labelledby": "errors" }, h("h2", { id: "errors" }, "Recent errors"),
        state.errors.length ? h("div", { class: "card list" }, state.errors.map(failure)) : h("p", { class: "dim" }, "No answer of 5xx since the start."))),
    h("footer", {}, h("a", { href: "status?format=json" }, "JSON"), h("a", { href: "metrics" }, "metrics"), h("a", { href: "health" }, "health"), h("a", { href: "ready" }, "ready"),
      state.file ? h("span", {}, state.file) : null),
  ];

  const draw = () => {
    document.body.className = stale ? "stale" : "";
    document.title = (state.ready ? "" : "not ready: ") + (state.name || "proxy") + " – rpipe status";
    patch(document.getElementById("page"), view().flat(Infinity).filter(Boolean));
  };

  let timer, asking = false;
  const look = async () => {
    clearTimeout(timer);
    if (document.hidden || asking) return;
    asking = true;
    try {
      const r = await fetch("status?format=json", { cache: "no-store", headers: { Accept: "application/json" }, signal: AbortSignal.timeout(10000) });
      if (r.status === 401) throw new Error("You may not see this any more: load the page again.");
      if (!r.ok) throw new Error("The server answered " + r.status + ".");
      state = await r.json();
      shown = performance.now();
      stale = null;
    } catch (e) {
      stale = e.name === "TypeError" || e.name === "TimeoutError" ? "The server does not answer." : e.message;
    }
    asking = false;
    draw();
    timer = setTimeout(look, every);
  };

  state = JSON.parse(document.getElementById("state").textContent);
  draw();
  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, every);
})();
