"use strict";
// What the pages do beyond showing: they work without it.
(() => {
  const $ = (selector, root) => (root || document).querySelector(selector);
  const $$ = (selector, root) => [...(root || document).querySelectorAll(selector)];
  const main = $("#main"), inside = $("#inside");
  const live = $("#live");
  const parse = (text) => new DOMParser().parseFromString(text, "text/html");

  // The inside of the page is fetched anew when something has changed.
  let asking = false, again = false, timer;
  const say = (how, text) => {
    document.body.classList.toggle("stale", how === "stale");
    document.body.classList.toggle("paused", how === "paused");
    const status = $("[role=status]", live);
    if (status.textContent !== text) status.textContent = text;
  };
  const busy = () => $("dialog[open]") || (document.activeElement && document.activeElement.matches("#inside input:not([type=checkbox]), #inside select") && document.activeElement.closest("[data-calm]"));
  const look = async () => {
    if (asking) { again = true; return; }
    if (document.hidden || busy()) return;
    asking = true;
    try {
      const r = await fetch(location.pathname + location.search, { headers: { "X-Fragment": "inside" }, cache: "no-store", redirect: "manual", signal: AbortSignal.timeout(15000) });
      if (r.type === "opaqueredirect" || r.status === 401) { location.reload(); return; }
      const text = await r.text();
      const fresh = parse(r.headers.get("Content-Type")?.includes("html") ? text : "");
      const like = $("#inside", fresh) || fresh.body;
      if (r.ok || r.status === 404) show(like);
      if (!r.ok && r.status !== 404) throw new Error();
      say("live", "live");
    } catch {
      say("stale", "no answer");
    }
    asking = false;
    if (again) { again = false; later(300); }
  };
  const later = (ms) => { clearTimeout(timer); timer = setTimeout(look, ms); };
  const show = (like) => {
    const shell = document.createElement("div");
    shell.id = "inside";
    shell.append(...like.childNodes);
    rpipe.clock(shell);
    rpipe.patch(inside, shell);
    arrange();
  };

  // One stream of events for this page, while somebody looks at it.
  let events = null;
  const listen = () => {
    if (document.hidden) {
      events?.close();
      events = null;
      return;
    }
    if (events) return;
    let first = true;
    events = new EventSource("/ui/events");
    events.addEventListener("changed", (e) => {
      const topics = (main.dataset.live || "").split(" ");
      const told = e.data.split(" ");
      if (told.includes("open")) {
        say("live", "live");
        if (!first) later(0); // it was away
        first = false;
      } else if (told.some((t) => topics.includes(t))) look();
    });
    events.onerror = () => {
      say("stale", "no answer");
      if (events?.readyState !== EventSource.CLOSED) return; // the browser tries again
      events = null; // it does not where it was refused, as by a proxy while the server starts
      setTimeout(() => { listen(); look(); }, refused);
    };
  };
  const refused = 2000;

  // Logs are followed as they are written.
  let follower = null, followed = "";
  const follow = () => {
    const log = $("#log");
    const path = log && log.dataset.follow && !document.hidden ? log.dataset.follow : "";
    if (path === followed) return;
    follower?.close();
    follower = null;
    followed = path;
    if (!path) {
      if ($("#log-state")) $("#log-state").textContent = "";
      return;
    }
    if (!log.dataset.begun) {
      log.dataset.begun = "1";
      log.scrollTop = log.scrollHeight;
    }
    follower = new EventSource(path + (log.dataset.after > 0 ? "&after=" + log.dataset.after : ""));
    if ($("#log-state")) $("#log-state").textContent = "following";
    follower.addEventListener("log", (e) => {
      const l = JSON.parse(e.data);
      const down = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
      const line = document.createElement("div"), time = document.createElement("time"), text = document.createElement("span");
      line.className = "line " + l.stream;
      time.dateTime = l.time;
      time.textContent = rpipe.clockOf(new Date(l.time));
      text.textContent = l.line;
      line.append(time, text);
      log.append(line);
      while (log.childElementCount > 5000) log.firstElementChild.remove();
      log.dataset.after = l.seq;
      if (down) log.scrollTop = log.scrollHeight;
    });
    follower.onerror = () => {
      if (follower?.readyState !== EventSource.CLOSED) return;
      follower = null;
      followed = "";
      setTimeout(follow, refused);
    };
    follower.addEventListener("end", () => {
      follower.close();
      follower = null;
      if ($("#log-state")) $("#log-state").textContent = "";
      later(200);
    });
  };

  // Forms are sent in place, so that nothing jumps; what is not to be undone is asked first.
  const sure = (text) => new Promise((answer) => {
    const dialog = $("#confirm");
    $("#confirm-text").textContent = text;
    const done = (yes) => { // the event close comes too late: it could meet the next question
      dialog.oncancel = null;
      if (dialog.open) dialog.close();
      answer(yes);
    };
    $("#confirm-yes").onclick = () => done(true);
    $("#confirm-no").onclick = () => done(false);
    dialog.oncancel = () => done(false);
    dialog.showModal();
    $("#confirm-no").focus();
  });
  const notice = (text, bad) => {
    const box = document.createElement("div");
    box.className = "notice " + (bad ? "bad" : "ok");
    box.textContent = text;
    $("#flash").replaceChildren(box);
  };
  const send = async (form, button) => {
    const body = new URLSearchParams(new FormData(form, button));
    if (button?.dataset.confirm || form.dataset.confirm) {
      if (!await sure(button?.dataset.confirm || form.dataset.confirm)) return;
      body.set("confirmed", "yes");
    }
    button?.setAttribute("aria-disabled", "true");
    try {
      const r = await fetch(form.action, { method: "POST", body, headers: { "X-CSRF-Token": body.get("csrf_token") || "" }, signal: AbortSignal.timeout(60000) });
      const fresh = parse(await r.text());
      if (!$("#inside", fresh)) { location.assign(r.url); return; }
      if (r.redirected && r.url !== location.href) history.pushState(null, "", r.url);
      document.title = fresh.title;
      main.dataset.live = $("#main", fresh).dataset.live;
      $("#flash").replaceChildren(...$("#flash", fresh).childNodes);
      for (const a of $$(".side nav a")) {
        const like = $(`.side nav a[href="${a.getAttribute("href")}"]`, fresh);
        if (like?.hasAttribute("aria-current")) a.setAttribute("aria-current", "page");
        else a.removeAttribute("aria-current");
      }
      for (const box of $$("[type=checkbox]", inside)) box.checked = false;
      show($("#inside", fresh));
      if (!inside.contains(document.activeElement)) main.focus({ preventScroll: true });
    } catch {
      notice("The server does not answer: whether it was done is not known. Look again.", true);
    }
    button?.removeAttribute("aria-disabled");
  };
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (form.method !== "post" || !form.closest("#inside")) return;
    e.preventDefault();
    if (e.submitter?.getAttribute("aria-disabled") !== "true") send(form, e.submitter);
  });
  window.addEventListener("popstate", () => location.reload());

  // Charts are read off under the pointer.
  const digits = (v) => v === "" ? "–" : (+v).toLocaleString("en", { maximumSignificantDigits: 3 });
  document.addEventListener("pointermove", (e) => {
    const svg = e.target.closest?.(".plot svg");
    for (const c of $$(".chart .cursor[d*=M]")) if (!svg || c.parentNode !== svg) { c.setAttribute("d", ""); $("output", c.closest(".chart")).textContent = ""; }
    if (!svg) return;
    const chart = svg.closest(".chart"), box = svg.getBoundingClientRect();
    const all = chart.dataset.values.split(";");
    const i = Math.min(all.length - 1, Math.max(0, Math.floor((e.clientX - box.left) / box.width * all.length)));
    const names = $$(".key > span", chart).map((k) => k.textContent);
    const x = ((i + 0.5) / all.length * 720).toFixed(1);
    $(".cursor", svg).setAttribute("d", "M" + x + " 0V120");
    const seconds = /^(run|wait)$/.test(chart.id) ? " s" : "";
    $("output", chart).textContent = rpipe.clockOf(new Date(+chart.dataset.from + i * chart.dataset.step * 1000)) + "  " + all[i].split(",").map((v, k) => names[k] + " " + digits(v) + (v === "" ? "" : seconds)).join(", ");
  });

  // Keys.
  const rows = () => $$("#inside tr[data-href], #inside .failures .row");
  let at = -1;
  const move = (by) => {
    const all = rows();
    if (!all.length) return;
    at = all.findIndex((r) => r.classList.contains("at"));
    at = Math.min(all.length - 1, Math.max(0, at < 0 && by > 0 ? 0 : at + by));
    for (const r of all) r.classList.toggle("at", r === all[at]);
    const to = all[at].matches("a") ? all[at] : $("a", all[at]);
    to.focus();
    all[at].scrollIntoView({ block: "nearest" });
  };
  let go = 0;
  const places = { o: "/ui/", j: "/ui/jobs", t: "/ui/tasks", q: "/ui/queues", w: "/ui/workers", c: "/ui/settings", s: "/ui/schedules", p: "/ui/pipelines", a: "/ui/apis" };
  const keys = {
    "?": () => $("#keys").showModal(),
    "/": () => { const f = $("#f-text"); if (f) f.focus(); else location.assign("/ui/tasks"); },
    j: () => move(1),
    k: () => move(-1),
    x: () => { const box = $("tr.at [type=checkbox]"); if (box) box.click(); },
    r: () => look(),
    g: () => { go = Date.now(); },
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || $("dialog[open]") || e.target.matches("input:not([type=checkbox]), select, textarea")) return;
    if (Date.now() - go < 1500 && places[e.key] && $(`.side a[href="${places[e.key]}"]`)) {
      e.preventDefault();
      location.assign(places[e.key]);
    } else if (keys[e.key]) {
      e.preventDefault();
      keys[e.key]();
    }
    if (e.key !== "g") go = 0;
  });

  // A grid of cells is one stop of the tab key; arrows move in it.
  const grid = (g) => {
    const cells = $$("a", g);
    const here = cells.includes(document.activeElement) ? document.activeElement : cells.find((c) => c.tabIndex === 0 && c.hasAttribute("tabindex")) || cells[0];
    for (const c of cells) c.setAttribute("tabindex", c === here ? "0" : "-1");
    if (g.dataset.wired) return;
    g.dataset.wired = "1";
    g.addEventListener("keydown", (e) => {
      const all = $$("a", g), i = all.indexOf(document.activeElement);
      if (i < 0) return;
      const wide = Math.max(1, all.findIndex((c) => c.offsetTop > all[0].offsetTop));
      const to = { ArrowRight: i + 1, ArrowLeft: i - 1, ArrowDown: i + wide, ArrowUp: i - wide, Home: 0, End: all.length - 1 }[e.key];
      if (to === undefined || !all[to]) return;
      e.preventDefault();
      all[i].setAttribute("tabindex", "-1");
      all[to].setAttribute("tabindex", "0");
      all[to].focus();
    });
  };

  // arrange does what is to be done to new parts of the page.
  const arrange = () => {
    rpipe.clock();
    follow();
    $$("[data-grid]").forEach(grid);
    $$(".keys-hint").forEach((e) => { e.hidden = false; });
    const every = $("#mark-all");
    if (every) {
      every.hidden = false;
      every.onchange = () => { for (const box of $$("#many [name=id]")) box.checked = every.checked; count(); };
      count();
    }
  };
  const count = () => {
    const n = $$("#many [name=id]:checked").length, text = $("[data-marked]");
    if (text) text.textContent = n ? n + " marked:" : "Marked tasks:";
  };
  document.addEventListener("change", (e) => { if (e.target.name === "id") count(); });

  live.hidden = false;
  $("#keys-open").hidden = false;
  $("#keys-open").onclick = () => $("#keys").showModal();
  $("#keys-close").onclick = () => $("#keys").close();
  arrange();
  listen();
  setInterval(() => rpipe.clock(), 1000);
  setInterval(() => { if ((main.dataset.live || "").includes("fast")) look(); }, 1500); // figures that change all the time
  document.addEventListener("visibilitychange", () => { listen(); follow(); if (!document.hidden) look(); });
  window.addEventListener("pagehide", () => { events?.close(); events = null; follower?.close(); follower = null; followed = ""; });
  window.addEventListener("pageshow", (e) => { if (e.persisted) { listen(); follow(); look(); } });
})();
