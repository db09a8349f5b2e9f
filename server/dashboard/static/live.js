"use strict";
// patch() makes an element like another one, changing what is different alone: what has
// the focus, is open, marked, typed or scrolled stays so. Elements with data-keep are
// their script's own.
const rpipe = (() => {
  const keyOf = (n) => n.nodeType === 1 ? n.id || n.getAttribute("data-key") || "" : "";
  const fits = (a, b) => a.nodeType === b.nodeType && a.nodeName === b.nodeName && keyOf(a) === keyOf(b);
  const state = { DETAILS: ["open"], DIALOG: ["open"], INPUT: ["value", "checked"], SELECT: ["value"] };

  const attributes = (e, like) => {
    const own = state[e.nodeName] || [];
    for (const { name, value } of like.attributes) if (!own.includes(name) && e.getAttribute(name) !== value) e.setAttribute(name, value);
    for (const { name } of [...e.attributes]) if (!own.includes(name) && !like.hasAttribute(name) && name !== "tabindex" && name !== "hidden") e.removeAttribute(name);
  };

  const patch = (e, like) => {
    if (e.nodeType !== 1) {
      if (e.data !== like.data) e.data = like.data;
      return;
    }
    if (e.hasAttribute("data-keep") && like.hasAttribute("data-keep")) {
      e.setAttribute("data-follow", like.getAttribute("data-follow") || "");
      return;
    }
    attributes(e, like);
    if (e.nodeName === "TIME" && e.dataset.time) return; // written by clock()
    if (e.nodeName === "OPTION" || e.nodeName === "OUTPUT") return;
    let at = e.firstChild;
    for (const wanted of [...like.childNodes]) {
      let found = at;
      while (found && !fits(found, wanted)) found = found.nextSibling;
      if (!found) {
        e.insertBefore(document.importNode(wanted, true), at);
        continue;
      }
      if (found === at) at = at.nextSibling;
      else e.insertBefore(found, at);
      patch(found, wanted);
    }
    while (at) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
  };

  // Times, in the reader's own zone.
  const long = (s) => {
    s = Math.max(0, Math.floor(s));
    if (s < 60) return s + " s";
    if (s < 600 && s % 60) return Math.floor(s / 60) + " min " + s % 60 + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor(s % 3600 / 60) + " min";
    return Math.floor(s / 86400) + " d " + Math.floor(s % 86400 / 3600) + " h";
  };
  const clockOf = (t) => t.toLocaleTimeString("en-GB");
  const dayOf = (t) => t.toLocaleDateString("en-GB", { day: "numeric", month: "short" });
  const kinds = {
    ago: (t, now) => {
      const s = (now - t) / 1000;
      return s < -2 ? "in " + long(-s) : s < 2 ? "just now" : long(s) + " ago";
    },
    since: (t, now) => long((now - t) / 1000),
    clock: (t) => clockOf(t),
    at: (t, now) => (t.toDateString() === new Date(now).toDateString() ? "" : dayOf(t) + ", ") + clockOf(t),
    minute: (t) => t.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }),
  };
  const clock = (root) => {
    const now = Date.now();
    for (const e of (root || document).querySelectorAll("time[data-time]")) {
      const t = new Date(e.dateTime), write = kinds[e.dataset.time];
      if (!write || isNaN(t)) continue;
      const text = write(t, now);
      if (e.textContent !== text) e.textContent = text;
      const title = t.toLocaleString("en-GB", { dateStyle: "full", timeStyle: "medium" });
      if (e.title !== title) e.title = title;
    }
  };
  return { patch, clock, clockOf };
})();
