// Whose computer keeps what is kept: the visitor's own, or the one that runs the app for them.

const LOCAL = ["localhost", "127.0.0.1", "[::1]"];

export const HOST = LOCAL.includes(location.hostname) ? "this computer" : "the server that runs this app";

/** Name that computer in every element with `data-host` inside `root`. */
export function nameHost(root) {
  for (const each of root.querySelectorAll("[data-host]")) each.textContent = HOST;
}
