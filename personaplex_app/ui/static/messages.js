// What the page says in each state: a sentence, and a way on.

import { about } from "./dom.js";

function whereToAllow() {
  const agent = navigator.userAgent;
  if (/iPhone|iPad/.test(agent)) return "On this device: Settings, then your browser, then Microphone; or “aA” in the address bar, Website Settings.";
  if (/Firefox/.test(agent)) return "In Firefox: press the crossed-out microphone left of the address, remove “Blocked”, and start again.";
  if (/Safari/.test(agent) && !/Chrom/.test(agent)) return "In Safari: Safari menu, Settings for This Website, Microphone, Allow; then start again.";
  if (/Edg/.test(agent)) return "In Edge: press the lock left of the address, Permissions for this site, Microphone, Allow; then start again.";
  return "In Chrome: press the icon left of the address, allow Microphone, and start again.";
}

const AUDIO_TROUBLE = {
  refused: () => `The browser did not give this page the microphone. ${whereToAllow()}`,
  "no-microphone": () => "No microphone was found. Plug one in, or switch one on in the system's sound settings, and start again.",
  "busy-microphone": () => "The microphone cannot be opened; another program may hold it. Close that program and start again.",
  insecure: () =>
    `Browsers give a microphone only to https pages or to localhost, and this page came from ${location.origin}. Open it through https, ` +
    "through --share, or on the machine itself as http://localhost.",
  unplugged: () => "The microphone went away; silence is sent in its place. Plug it in again, then stop and start anew.",
};

export const audioTrouble = (code) => (AUDIO_TROUBLE[code] ?? AUDIO_TROUBLE["no-microphone"])();

const STAGES = {
  starting: "is starting",
  downloading: "is being downloaded",
  loading: "is loading",
  self_test: "is testing itself",
  warming_up: "is warming up",
};

export function preparing({ stage, detail, progress }, title = "The engine") {
  const percent = progress === null || progress === undefined ? "" : ` (${Math.round(progress * 100)} %)`;
  return `${title} ${STAGES[stage] ?? "is getting ready"}${percent}${detail ? `: ${detail}` : ""}.`;
}

export function queued({ ahead, wait_s }) {
  const place = ahead === 0 ? "You are next" : ahead === 1 ? "One caller is ahead of you" : `${ahead} callers are ahead of you`;
  const wait = wait_s === null || wait_s === undefined ? "" : `, ${about(wait_s)} to wait`;
  return `Every line is taken. ${place}${wait}. You get in by yourself; leave this page open.`;
}

export function limit({ reason, left_s }) {
  if (reason === "draining") return `The server is about to stop; this talk ends in ${about(left_s)}.`;
  return reason === "idle"
    ? `Nothing was heard from you for a while; the talk ends in ${about(left_s)} unless you speak.`
    : `This talk ends in ${about(left_s)}: its time is nearly over.`;
}

export const TEXT = Object.freeze({
  ready: "Ready when you are. Your microphone opens when you start.",
  readyLease: "Ready when you are. Your microphone opens when you start, and a GPU is lent to you: it counts against your time on the Hub.",
  lease: "Asking for a GPU. The talk begins as soon as one is yours; this may take a minute.",
  begins: "The talk begins by itself.",
  notReady: "You can start already; the talk begins when the engine is ready.",
  microphone: "Asking for your microphone…",
  connecting: "Connecting…",
  live: "You are talking. Speak over it whenever you like.",
  liveEcho: "You should hear yourself, a moment later.",
  muted: "Your microphone is muted; silence is sent.",
  lost: "The connection was lost. You can start again; meanwhile the recording of what was said is looked for.",
  lostFound: "The connection was lost. What was said until then is below; you can start again.",
  lostAway: "The connection was lost, and the server cannot be reached. Once it is back, look for the recording under Sessions.",
  lostEarly: "The connection was lost before the talk began. Start again.",
  unreachable: "The server cannot be reached, neither by WebSocket nor by HTTP. Check that it runs, then start again.",
  draining: "The server is about to stop and begins no new talks. Try again in a minute.",
  emptyPrompt: "The role prompt is empty. Choose a persona, or write who the agent is.",
  slow: "Your connection is slower than speech; some of what you said was left out.",
  fallback: "WebSockets do not pass on this network, so the talk goes over HTTP.",
  reloaded: "Your talk was cut by the reload; here is its recording.",
  reloadedGone: "Your talk was cut by the reload, and its recording is no longer there.",
});
