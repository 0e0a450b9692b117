// Whose computer keeps what is kept: the visitor's own, or the one that runs the app for them.

import { t } from "./strings.js";

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

const place = LOCAL.includes(location.hostname) ? "local" : "server";

export const HOST = t(`host_${place}`);

/** The string of a key that has a form for each of them. */
export const hostText = (key) => t(`${key}_${place}`);

/** Name that computer in every element with `data-host` inside `root`. */
export function nameHost(root) {
  for (const each of root.querySelectorAll("[data-host]")) each.textContent = HOST;
}
