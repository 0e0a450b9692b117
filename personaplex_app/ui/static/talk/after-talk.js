// What a talk leaves on the page: its lane to listen to, its transcript, its files.

import { clock, h, part, show } from "../shared/dom.js";
import { Recording } from "../shared/recording.js";
import { t } from "../shared/strings.js";

/**
 * Show a talk that is over.
 *
 * @param {Element} root
 * @param {object} talk as /api/sessions/{id} gives it
 * @param {import("./captions-meters.js").Captions} captions become its transcript
 * @param {() => void} ondeleted
 */
export function showRecording(root, talk, captions, ondeleted) {
  captions.clear(t("no_words"));
  const lane = root.querySelector("#talk-lane");
  const recording = new Recording(talk, { lane, captions: captions.list, ondeleted });
  show(captions.empty, !recording.rows.length);
  const key = talk.status === "interrupted" ? "talk_of_cut" : "talk_of";
  const length = t(key, { length: clock(talk.duration_s) });
  part(root, "after").replaceChildren(h("h2", {}, length), recording.element);
  show(part(root, "after"), true);
  return recording;
}
