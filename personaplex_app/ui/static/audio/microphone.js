// Opens the microphone that is chosen, or says why there is none.

import { chosenId } from "./devices.js";

const CONSTRAINTS = {
  channelCount: 1,
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};
const CODES = {
  SecurityError: "forbidden",
  NotFoundError: "no-microphone",
  NotReadableError: "busy-microphone",
  AbortError: "busy-microphone",
  OverconstrainedError: "unfit-microphone",
  TypeError: "insecure",
};

/** Why no sound can be had, as a code that `shared/texts.js` has a sentence for. */
class AudioTrouble extends Error {
  constructor(code, cause) {
    super(code, { cause });
    this.code = code;
  }
}

/** Why the browser does not give the microphone: who can change that differs. */
function refusal(error) {
  const policy = document.permissionsPolicy ?? document.featurePolicy;
  const framed = window.self !== window.top;
  // browsers that do not tell what the page around allows leave that as the likeliest reason
  if (policy ? !policy.allowsFeature("microphone") : framed) return framed ? "framed" : "forbidden";
  if (/system/i.test(error.message)) return "refused-by-system";
  return /dismissed/i.test(error.message) ? "dismissed" : "refused";
}

/** The chosen microphone, another one where that is not there. */
async function microphone() {
  const id = await chosenId("audioinput");
  const asked = (audio) => navigator.mediaDevices.getUserMedia({ audio });
  if (!id) return asked(CONSTRAINTS);
  try {
    return await asked({ ...CONSTRAINTS, deviceId: { exact: id } });
  } catch (error) {
    if (!["OverconstrainedError", "NotFoundError"].includes(error.name)) throw error;
    return asked(CONSTRAINTS);
  }
}

/** Open it: a MediaStream. Throws AudioTrouble. */
export async function openMicrophone() {
  if (!window.isSecureContext || !navigator.mediaDevices?.getUserMedia) throw new AudioTrouble("insecure");
  try {
    return await microphone();
  } catch (error) {
    throw new AudioTrouble(error.name === "NotAllowedError" ? refusal(error) : CODES[error.name], error);
  }
}
