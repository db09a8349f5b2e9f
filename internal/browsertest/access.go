//go:build unix

package browsertest

// Accessible checks what a machine can of a page: the contrast of texts against what is
// behind them, one heading of the first level, landmarks, names of all that can be used,
// labels of fields, and that all of it is reached by the keyboard. Where the page is wider
// than the screen, that is an error, too.
func (b *Tab) Accessible(what string) {
	b.t.Helper()
	var problems []string
	b.JSON(`(`+audit+`)()`, &problems)
	for _, p := range problems {
		b.t.Errorf("%s: %s", what, p)
	}
	if len(problems) == 0 {
		b.t.Logf("%s: %s texts", what, b.Value(`window.audited`))
	}
}

// audit is a function in JavaScript: contrast is by WCAG 2.2, 1.4.3.
const audit = `() => {
  const problems = new Set();
  const visible = (e) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true }) && e.getClientRects().length > 0;
  const name = (e) => e.localName + (e.id ? "#" + e.id : "") + (typeof e.className === "string" && e.className ? "." + e.className.trim().replace(/\s+/g, ".") : "") + " " + JSON.stringify((e.textContent || "").trim().slice(0, 30));
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = "#000";
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, under) => top.slice(0, 3).map((v, i) => v * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(rgba(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((under, top) => top[3] > 0 ? over(top, under) : under, [255, 255, 255, 1]);
  };
  const light = ([r, g, b]) => [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  window.audited = 0;
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || seen.has(e) || !visible(e) || e.closest(".hidden, .skip, script, style, dialog:not([open]), svg")) continue;
    seen.add(e);
    const s = getComputedStyle(e), ground = behind(e), text = over(rgba(s.color), ground);
    const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05), size = parseFloat(s.fontSize);
    const large = size >= 24 || size >= 18.66 && +s.fontWeight >= 700;
    window.audited++;
    if (ratio < (large ? 3 : 4.5)) problems.add("contrast of " + name(e) + " is " + ratio.toFixed(2) + ": " + s.color + " on rgb(" + ground.slice(0, 3).map(Math.round) + ")");
  }
  const all = (selector) => [...document.querySelectorAll(selector)];
  const one = (selector, n) => { const found = all(selector).filter(visible).length; if (found !== n) problems.add(found + " of " + selector + ", not " + n); };
  one("h1", 1);
  one("main", 1);
  one("header", 1);
  one('nav[aria-label="Main"]', 1);
  if (!document.documentElement.lang) problems.add("the page says no language");
  if (!document.title) problems.add("the page has no title");
  const text = (id) => id.split(" ").map((i) => document.getElementById(i)?.textContent || "").join(" ").trim();
  const called = (e) => (e.getAttribute("aria-label") || text(e.getAttribute("aria-labelledby") || "") || [...(e.labels || [])].map((l) => l.textContent).join(" ") || e.textContent || e.querySelector("img")?.alt || "").trim();
  for (const e of all("a[href], button, input:not([type=hidden]), select, textarea, summary, [role=region], [role=img], nav, dialog, table caption")) {
    if (!called(e) && !e.hidden) problems.add("no name: " + e.outerHTML.slice(0, 120));
  }
  for (const e of all("input:not([type=hidden]), select, textarea")) if (!e.labels?.length && !e.getAttribute("aria-label")) problems.add("no label: " + e.outerHTML.slice(0, 120));
  for (const e of all("a[href], button, input:not([type=hidden]), select, summary")) {
    if (visible(e) && e.tabIndex < 0 && !e.closest("[data-grid]")) problems.add("out of reach of the tab key: " + name(e));
    if (e.tabIndex > 0) problems.add("an order of its own: " + name(e));
  }
  for (const g of all("[data-grid]")) if (g.querySelectorAll('a[tabindex="0"]').length !== 1) problems.add("the grid is not one stop of the tab key");
  for (const e of all("*")) {
    const o = getComputedStyle(e);
    if (visible(e) && /auto|scroll/.test(o.overflowX + o.overflowY) && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 1) && e.tabIndex < 0 && !e.querySelector("a[href], button, input, summary")) problems.add("scrolls, and not by keys: " + name(e));
  }
  const ids = all("[id]").map((e) => e.id);
  for (const id of new Set(ids)) if (ids.filter((i) => i === id).length > 1) problems.add("id " + id + " stands twice");
  let level = 0;
  for (const h of all("h1, h2, h3, h4")) {
    if (h.closest("dialog:not([open])")) continue;
    const n = +h.localName[1];
    if (n > level + 1) problems.add("heading " + name(h) + " after one of level " + level);
    level = n;
  }
  if (document.documentElement.scrollWidth > innerWidth + 1) problems.add("the page is " + document.documentElement.scrollWidth + " wide on a screen of " + innerWidth);
  return [...problems].slice(0, 40);
}`
