// Small helpers for making and finding elements, and for saying numbers.

import { LANGUAGE, t } from "./strings.js";

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
  element.append(
    ...children.flat().filter((child) => child !== null && child !== undefined && child !== false),
  );
  return element;
}

/**
 * Make a button that does not submit.
 *
 * @param {string} text
 * @param {object} attributes as of `h`
 * @param {""|"primary"|"small"|"danger"|"quiet-danger"|"play"} look
 */
export function button(text, attributes = {}, look = "") {
  const styled = look ? `button button-${look}` : "button";
  return h("button", { type: "button", class: styled, ...attributes }, text);
}

/** Have the browser save a file. */
export function saveAs(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  // some browsers read it only after they have asked where to put it
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** The element inside `root` with that `data-part`. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

/** Set text only when it differs: live regions speak on every change. */
export function say(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** Show or hide an element, where there is one. */
export function show(element, on) {
  if (element) element.hidden = !on;
}

/** Show a notice that says `text`; an empty text takes it back. */
export function notify(element, text) {
  say(element, text);
  show(element, Boolean(text));
}

/** Text with its addresses made into links. */
export function linked(text) {
  return text
    .split(/(https?:\/\/[^\s,;)]+[^\s,;).])/)
    .map((piece) =>
      /^https?:\/\//.test(piece)
        ? h("a", { href: piece, target: "_blank", rel: "noreferrer" }, piece)
        : piece,
    );
}

/** 75 → "1:15". */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** 75 → "about 2 minutes". */
export function about(seconds) {
  if (seconds < 50) return t("about_seconds", { n: Math.max(5, Math.round(seconds / 5) * 5) });
  const minutes = Math.max(1, Math.round(seconds / 60));
  return minutes === 1 ? t("about_minute") : t("about_minutes", { n: minutes });
}

/** Whether a figure of the server is there. */
export const isKnown = (value) => value !== null && value !== undefined;

/** 75.4 → "75 ms", and a dash for what is not known. */
export const ms = (value) => (isKnown(value) ? `${Math.round(value)} ms` : "–");

/** An ISO time as its reader writes it. */
export function when(iso) {
  return new Date(iso).toLocaleString(LANGUAGE, { dateStyle: "medium", timeStyle: "short" });
}

/** Colours by name, of a table of names and CSS properties, as they are at `element`. */
export function coloursOf(element, properties) {
  const style = getComputedStyle(element);
  const value = (property) => style.getPropertyValue(property).trim();
  return Object.fromEntries(Object.entries(properties).map(([name, property]) => [name, value(property)]));
}

/** Give a canvas the screen's own pixels; its context then draws in CSS pixels. */
export function fitCanvas(canvas, context, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const size = { width: Math.round(width * ratio), height: Math.round(height * ratio) };
  // setting a canvas's size empties it
  if (canvas.width !== size.width || canvas.height !== size.height) Object.assign(canvas, size);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
}

/** Call back when light turns dark or dark light; returns what ends it. */
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
const CALM_MS = navigator.hardwareConcurrency > 4 ? 0 : 50;
const STILL_MS = 250;
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Call `draw` with the milliseconds since its last call, on and on; returns what ends it. */
export function everyFrame(draw) {
  let over = false;
  let last = performance.now();
  const step = (time) => {
    if (over) return;
    draw(time - last);
    last = time;
    const every_ms = still.matches ? STILL_MS : CALM_MS;
    // the browser composes every frame that is asked for, drawn on or not; callers share the same ones
    if (every_ms) setTimeout(() => requestAnimationFrame(step), every_ms - (performance.now() % every_ms));
    else requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
  return () => (over = true);
}
