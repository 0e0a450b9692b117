// What the page says in each state: a sentence, and a way on.

import { about, isKnown } from "./dom.js";
import { LANGUAGE, t, told } from "./strings.js";

const HOW_TO_ALLOW = [
  [/iPhone|iPad/, "ios"],
  [/Firefox/, "firefox"],
  [/Edg/, "edge"],
  [/Chrom/, "chrome"],
  [/Safari/, "safari"],
  [/./, "other"],
];
const SOUND_TROUBLE = [
  "refused",
  "dismissed",
  "refused-by-system",
  "framed",
  "forbidden",
  "unfit-microphone",
  "no-microphone",
  "busy-microphone",
  "insecure",
];

/** Where this browser hides its permission for the microphone. */
function howToAllow() {
  return t(`allow_${HOW_TO_ALLOW.find(([browser]) => browser.test(navigator.userAgent))[1]}`);
}

/** Why there is no sound, of what `AudioRig.open` threw. */
export function soundTrouble({ code, message }) {
  if (!SOUND_TROUBLE.includes(code)) return t("sound_other", { why: message });
  const address = code === "insecure" ? location.origin : location.href;
  return t(`sound_${code}`, { how: howToAllow(), address });
}

const STAGES = ["starting", "downloading", "loading", "self_test", "warming_up"];

/** How far an engine is that is not ready; `progress` from 0 to 1, or null. */
export function preparing({ stage, detail, progress }, title) {
  const percent = isKnown(progress) ? ` (${Math.round(progress * 100)} %)` : "";
  const more = `${percent}${detail ? `: ${told(detail)}` : ""}`;
  const engine = title ? told(title) : t("the_engine");
  return t(`stage_${STAGES.includes(stage) ? stage : "other"}`, { engine, more });
}

/** Which place in the queue; `ahead` others come first. */
export function queued({ ahead, wait_s }) {
  const key = ["queue_next", "queue_one"][ahead] ?? "queue_many";
  const wait = isKnown(wait_s) ? t("queue_wait", { about: about(wait_s) }) : "";
  return t(key, { n: ahead, wait });
}

/** Which language a role speaks, by its code; "" where that is the page's own. */
export function roleSpeaks(code) {
  if (code === LANGUAGE) return "";
  return t("role_speaks", { language: new Intl.DisplayNames([LANGUAGE], { type: "language" }).of(code) });
}

/** Which language an engine is bound to. */
export const languageText = (language) => t("only_language", { language: t(`language_${language}`) });

/** That a talk will end, and why. */
export function limit({ reason, left_s }) {
  const key = ["draining", "idle"].includes(reason) ? reason : "time";
  return t(`limit_${key}`, { about: about(left_s) });
}

/**
 * What the Talk tab says while nobody talks, of what /voice/status told: a state, a sentence, and the engine's progress
 * or null.
 *
 * @returns {[string, string, number|null]}
 */
export function whenIdle({ engine, available, lease }) {
  const { stage, title, detail } = engine;
  if (stage === "failed") {
    return ["error", t("could_not_start", { engine: told(title), why: told(detail) }), null];
  }
  if (stage !== "ready") {
    return ["idle", `${preparing(engine, title)} ${t("notReady")}`, engine.progress ?? null];
  }
  if (!available) return ["idle", t("draining"), null];
  return ["idle", t(lease ? "readyLease" : "ready"), null];
}
