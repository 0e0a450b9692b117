// What the page says in each state: a sentence, and a way on.

import { about, isKnown } from "./dom.js";

const HOW_TO_ALLOW = [
  [
    /iPhone|iPad/,
    "On this device: Settings, then your browser, then Microphone; or “aA” in the address bar, Website Settings.",
  ],
  [
    /Firefox/,
    "In Firefox: press the crossed-out microphone left of the address, remove “Blocked”, and start again.",
  ],
  [
    /Edg/,
    "In Edge: press the lock left of the address, Permissions for this site, Microphone, Allow; then start again.",
  ],
  [/Chrom/, "In Chrome: press the icon left of the address, allow Microphone, and start again."],
  [/Safari/, "In Safari: Safari menu, Settings for This Website, Microphone, Allow; then start again."],
  [/./, "Press the icon left of the address, allow Microphone, and start again."],
];

/** Where this browser hides its permission for the microphone. */
function howToAllow() {
  return HOW_TO_ALLOW.find(([browser]) => browser.test(navigator.userAgent))[1];
}

const SOUND_TROUBLE = {
  refused: () => `The browser did not give this page the microphone. ${howToAllow()}`,
  dismissed: () => "The browser's question about the microphone was closed. Start again, and choose “Allow”.",
  "refused-by-system": () =>
    "The system does not let this browser use the microphone. Allow it in the system's settings, under privacy and " +
    "microphone; then start again.",
  framed: () =>
    "This app is embedded in another page, which does not pass the microphone on: its iframe needs " +
    `allow="microphone". You can open the app in a new tab of its own: ${location.href}`,
  forbidden: () =>
    "The server or a proxy before it forbids this page the microphone, by a Permissions-Policy header or a policy of " +
    "this browser. Who runs it must allow microphone=(self).",
  "unfit-microphone": () =>
    "The microphone cannot give the sound that a talk needs. Choose another in the system's sound settings, and " +
    "start again.",
  "no-microphone": () =>
    "No microphone was found. Plug one in, or switch one on in the system's sound settings, and start again.",
  "busy-microphone": () =>
    "The microphone cannot be opened; another program may hold it. Close that program and start again.",
  insecure: () =>
    `Browsers give a microphone only to https pages or to localhost, and this page came from ${location.origin}. ` +
    "Open it through https, through --share, or on the machine itself as http://localhost.",
};

/** Why there is no sound, of what `AudioRig.open` threw. */
export function soundTrouble(error) {
  return SOUND_TROUBLE[error.code]?.() ?? `The sound could not be started: ${error.message}`;
}

const STAGES = {
  starting: "is starting",
  downloading: "is being downloaded",
  loading: "is loading",
  self_test: "is testing itself",
  warming_up: "is warming up",
};

/** How far an engine is that is not ready; `progress` from 0 to 1, or null. */
export function preparing({ stage, detail, progress }, title = "The engine") {
  const percent = isKnown(progress) ? ` (${Math.round(progress * 100)} %)` : "";
  return `${title} ${STAGES[stage] ?? "is getting ready"}${percent}${detail ? `: ${detail}` : ""}.`;
}

/** Which place in the queue; `ahead` others come first. */
export function queued({ ahead, wait_s }) {
  const places = ["You are next", "One caller is ahead of you"];
  const place = places[ahead] ?? `${ahead} callers are ahead of you`;
  const wait = isKnown(wait_s) ? `, ${about(wait_s)} to wait` : "";
  return `All places are taken. ${place}${wait}. You get in by yourself; leave this page open.`;
}

/** Which language an engine is bound to. */
export const languageText = (language) => `It understands and speaks ${language}, and no other language.`;

/** That a talk will end, and why. */
export function limit({ reason, left_s }) {
  if (reason === "draining") return `The server is about to stop; this talk ends in ${about(left_s)}.`;
  if (reason === "idle") {
    return `Nothing was heard from you for a while; the talk ends in ${about(left_s)} unless you speak.`;
  }
  return `This talk ends in ${about(left_s)}: its time is nearly over.`;
}

export const TEXT = Object.freeze({
  pressed: "It starts as soon as it is known who speaks…",
  ready: "Ready when you are. Your microphone opens when you start.",
  readyLease:
    "Ready when you are. Your microphone opens when you start, and a GPU is lent to you: " +
    "it counts against your time on the Hub.",
  lease: "Asking for a GPU. The talk begins as soon as one is yours; this may take a minute.",
  begins: "The talk begins by itself.",
  notReady: "You can start already; the talk begins when the engine is ready.",
  microphone: "Asking for your microphone…",
  connecting: "Connecting…",
  unplugged: "The microphone went away; silence is sent in its place. Plug it in again: the talk goes on.",
  microphoneMuted:
    "Your microphone was muted by the system, or taken by a call or another tab; silence is sent. Unmute it " +
    "there, or press anywhere on this page to take it back.",
  microphoneSilent:
    "Nothing comes from your microphone; silence is sent in its place. Check how it is connected.",
  soundStopped: "The browser has stopped the sound. Press anywhere on this page to hear the agent again.",
  loudspeakerSilent:
    "The loudspeaker takes no sound. Check how it is connected; what the agent said meanwhile is not played later.",
  away: "The server is not heard any more. Trying to come back to this talk; what you say meanwhile is lost.",
  quiet: "The server is not heard any more. If that lasts, this talk is over and you can start again.",
  back: "The connection is back, and the talk goes on. What was said in between was not heard.",
  restored: "Your talk ended when you left this page; here is its recording.",
  left: "You left this page, and the talk with it. You can start again.",
  live: "You are talking. Speak over it whenever you like.",
  liveEcho: "You should hear yourself, a moment later.",
  muted: "Your microphone is muted; silence is sent.",
  pushToTalk: "Hold the button, or the space bar, while you speak. Otherwise silence is sent.",
  devicesUnnamed: "Their names are known once this page has had the microphone: try them, or talk.",
  devicesTry: "Two notes were played, and the bar moves when you speak.",
  ending: "Ending…",
  lost: "The connection was lost. You can start again; meanwhile the recording of what was said is looked for.",
  lostFound: "The connection was lost. What was said until then is below; you can start again.",
  lostAway:
    "The connection was lost, and the server cannot be reached. " +
    "Once it is back, look for the recording under Sessions.",
  lostEarly: "The connection was lost before the talk began. Start again.",
  unreachable:
    "The server cannot be reached, neither by WebSocket nor by HTTP. Check that it runs, then start again.",
  draining: "The server is about to stop and begins no new talks. Try again in a minute.",
  emptyPrompt: "The role prompt is empty. Choose a persona, or write who the agent is.",
  slow: "Your connection is slower than speech; some of what you said was left out.",
  fallback: "WebSockets do not pass on this network, so the talk goes over HTTP.",
  reloaded: "Your talk was cut by the reload; here is its recording.",
  reloadedGone: "Your talk was cut by the reload, and its recording is no longer there.",
});

/**
 * What the Talk tab says while nobody talks, of what /voice/status told: a state, a sentence, and the engine's progress
 * or null.
 *
 * @returns {[string, string, number|null]}
 */
export function whenIdle({ engine, available, lease }) {
  if (engine.stage === "failed") return ["error", `${engine.title} could not start. ${engine.detail}`, null];
  if (engine.stage !== "ready") {
    return ["idle", `${preparing(engine, engine.title)} ${TEXT.notReady}`, engine.progress ?? null];
  }
  if (!available) return ["idle", TEXT.draining, null];
  return ["idle", lease ? TEXT.readyLease : TEXT.ready, null];
}
