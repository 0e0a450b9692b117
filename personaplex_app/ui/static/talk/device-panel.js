// Choose microphone and loudspeaker, before a talk or in its middle, and try both.

import { AudioRig } from "../audio/audio-rig.js";
import { KINDS, canChooseLoudspeaker, choose, chosenId, devices } from "../audio/devices.js";
import { h, part, say, show } from "../shared/dom.js";
import { t } from "../shared/strings.js";
import { soundTrouble } from "../shared/texts.js";

// two notes, for the loudspeaker to be heard by
const NOTES_HZ = [523, 659];
const NOTE_S = 0.25;
// a microphone that was forgotten is closed
const TRIAL_MS = 30_000;

export class DevicePanel {
  /**
   * @param {Element} root
   * @param {(kind: string) => void} changed another "audioinput" or "audiooutput" was chosen
   */
  constructor(root, changed) {
    this.root = root;
    this.rig = null;
    this.selects = Object.fromEntries(KINDS.map((kind) => [kind, part(root, kind)]));
    for (const [kind, select] of Object.entries(this.selects)) {
      select.addEventListener("change", () => {
        choose(kind, { id: select.value, label: select.selectedOptions[0].label });
        this.rig?.use(kind);
        changed(kind);
      });
    }
    show(this.selects.audiooutput.closest("label"), canChooseLoudspeaker());
    part(root, "devices").addEventListener("toggle", () => this.offer());
    navigator.mediaDevices?.addEventListener?.("devicechange", () => this.offer());
    this.button = part(root, "devices-try");
    this.button.addEventListener("click", () => (this.rig ? this.rest() : this.try()));
  }

  /** Offer what there is now. */
  async offer() {
    let named = false;
    for (const [kind, select] of Object.entries(this.selects)) {
      const found = await devices(kind);
      named ||= found.length > 0;
      const options = [{ id: "", label: t("device_system") }, ...found];
      select.replaceChildren(...options.map(({ id, label }) => h("option", { value: id }, label)));
      const wanted = await chosenId(kind);
      select.value = found.some(({ id }) => id === wanted) ? wanted : "";
    }
    if (!this.rig) this.tell(named ? "" : t("devices_unnamed"));
  }

  async try() {
    const level = part(this.root, "devices-level");
    const rig = new AudioRig({
      heard: (peaks) => (level.value = Math.max(...peaks)),
      trouble: (kind, on) => this.rig === rig && this.tell(t(on ? kind : "devices_tried")),
    });
    this.rig = rig;
    say(this.button, t("devices_enough"));
    try {
      await rig.open();
    } catch (error) {
      this.rest();
      this.tell(soundTrouble(error));
      return;
    }
    if (this.rig !== rig) return;
    const { capture } = rig.ports();
    capture.onmessage = () => {}; // frames, of which only the level is wanted
    capture.postMessage("begin");
    this.ending = setTimeout(() => this.rest(), TRIAL_MS);
    show(level, true);
    this.tell(t("devices_tried"));
    NOTES_HZ.forEach((hz, n) => rig.note(hz, n * NOTE_S, NOTE_S));
    this.offer();
  }

  /** End the trial: a talk needs the devices, or it was enough. */
  rest() {
    if (!this.rig) return;
    clearTimeout(this.ending);
    this.rig.close();
    this.rig = null;
    show(part(this.root, "devices-level"), false);
    say(this.button, t("devices_try"));
    this.tell("");
  }

  tell(text) {
    say(part(this.root, "devices-told"), text);
  }
}
