// Which microphone and which loudspeaker the page uses: what was chosen is remembered by this browser.

/** The kinds of devices, as browsers name them. */
export const KINDS = ["audioinput", "audiooutput"];
const KEY = (kind) => `personaplex-${kind}`;
const memory = {};

/** The id of the device to use, "" for the system's own choice. */
export function chosen(kind) {
  try {
    return localStorage.getItem(KEY(kind)) ?? "";
  } catch {
    return memory[kind] ?? ""; // some browsers keep nothing for a page in a frame
  }
}

export function choose(kind, id) {
  try {
    if (id) localStorage.setItem(KEY(kind), id);
    else localStorage.removeItem(KEY(kind));
  } catch {
    memory[kind] = id;
  }
}

/**
 * The devices of a kind. Browsers tell their names only where the page has had the microphone.
 *
 * @returns {Promise<{id: string, label: string}[]>}
 */
export async function devices(kind) {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  return all
    .filter((each) => each.kind === kind && each.label && !["", "default"].includes(each.deviceId))
    .map(({ deviceId, label }) => ({ id: deviceId, label }));
}

/** Whether this browser lets a page choose its loudspeaker. */
export const canChooseLoudspeaker = () => "setSinkId" in AudioContext.prototype;
