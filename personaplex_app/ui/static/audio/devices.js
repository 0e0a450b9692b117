// Which microphone and which loudspeaker the page uses: what was chosen is remembered by this browser.

/** The kinds of devices, as browsers name them. */
export const KINDS = ["audioinput", "audiooutput"];
const KEY = (kind) => `personaplex-${kind}`;
const memory = {};

/** The device that was chosen, {id, label}; its id is "" for the system's own choice. */
function chosen(kind) {
  try {
    return JSON.parse(localStorage.getItem(KEY(kind)) ?? "{}");
  } catch {
    return memory[kind] ?? {}; // some browsers keep nothing for a page in a frame
  }
}

/** Use a device, {id, label}, from now on. */
export function choose(kind, device) {
  try {
    if (device.id) localStorage.setItem(KEY(kind), JSON.stringify(device));
    else localStorage.removeItem(KEY(kind));
  } catch {
    memory[kind] = device;
  }
}

/**
 * The id of the device to use, "" for the system's own choice. Some browsers give a device another id each time
 * that they are started; it is known again by its name.
 */
export async function chosenId(kind) {
  const { id = "", label } = chosen(kind);
  if (!id) return "";
  const found = await devices(kind);
  return (found.find((each) => each.id === id) ?? found.find((each) => each.label === label))?.id ?? id;
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
