// Small helpers for making and finding elements, and for saying numbers.

/** Make an element: h("p", {class: "x", onclick: f}, "text", child). */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name in element && typeof value !== "string") element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** Set text only when it differs: live regions speak on every change. */
export function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

export function show(element, on) {
  if (element) element.hidden = !on;
}

/** Text with its addresses made into links. */
export function linked(text) {
  return text.split(/(https?:\/\/[^\s,;)]+[^\s,;).])/).map((piece) => (/^https?:\/\//.test(piece) ? h("a", { href: piece, target: "_blank", rel: "noreferrer" }, piece) : piece));
}

/** 75 → "1:15". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** 75 → "about 2 minutes". */
export function about(seconds) {
  if (seconds < 50) return `about ${Math.max(5, Math.round(seconds / 5) * 5)} seconds`;
  const minutes = Math.max(1, Math.round(seconds / 60));
  return minutes === 1 ? "about a minute" : `about ${minutes} minutes`;
}

export const ms = (value) => (value === null || value === undefined ? "–" : `${Math.round(value)} ms`);

export function when(iso) {
  return new Date(iso).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** The page's own languages of colour: call back when light turns dark or motion is refused. */
export function onThemeChange(callback) {
  const watcher = new MutationObserver(callback);
  watcher.observe(document.body, { attributes: true, attributeFilter: ["class"] });
  watcher.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "data-theme"] });
  const query = matchMedia("(prefers-color-scheme: dark)");
  query.addEventListener("change", callback);
  return () => {
    watcher.disconnect();
    query.removeEventListener("change", callback);
  };
}

// few cores are better spent on sound than on sixty pictures a second
const CALM_MS = navigator.hardwareConcurrency > 4 ? 0 : 30;

/** Call `draw` on and on, at most every `least_ms`, until the returned function is called. */
export function everyFrame(draw, least_ms = () => 0) {
  let last = -Infinity;
  let over = false;
  const step = (time) => {
    if (over) return;
    if (time - last >= Math.max(CALM_MS, least_ms())) {
      last = time;
      draw();
    }
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  return () => (over = true);
}
