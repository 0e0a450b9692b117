// A talk as a page of its own: runs in a file that was sent to somebody, without a server.

import { clock, h, when } from "../shared/dom.js";
import { DuplexLane } from "../shared/lane.js";
import { t } from "../shared/strings.js";

// wide enough for words at their times, and no wider than a canvas can be on a dense screen
const PX_PER_S = 100;
const MOST_PX = 5000;

const talk = JSON.parse(document.querySelector("#talk").textContent);
const audio = document.querySelector("audio");
const laneElement = document.querySelector("#lane");

document.querySelector("#when").textContent = [
  when(talk.started_at),
  clock(talk.duration_s),
  t("page_voice", { voice: talk.voice }),
].join(" · ");

laneElement.style.minWidth = `${Math.min(MOST_PX, Math.round(talk.duration_s * PX_PER_S))}px`;
const lane = new DuplexLane(laneElement, { onSeek: audio ? seek : null });
lane.set(talk.lane);

const rows = talk.lane.utterances
  .filter((each) => each.text.trim())
  .map(({ speaker, start_s, end_s, text, typed }) => {
    const speaking = t(speaker === "user" ? "page_user" : "agent");
    const name = `${typed ? t("page_typed", { who: speaking }) : speaking} ${clock(start_s)}`;
    const who = audio
      ? h(
          "button",
          { type: "button", onclick: () => seek(start_s, true), "aria-label": t("play_from", { who: name }) },
          name,
        )
      : h("span", {}, name);
    return h("p", { dataset: { speaker, from: start_s, to: end_s } }, who, h("span", {}, text));
  });
document.querySelector("#words").replaceChildren(...(rows.length ? rows : [h("p", {}, t("no_words"))]));

function seek(at_s, play = false) {
  lane.playAt(at_s);
  audio.currentTime = at_s;
  if (play) audio.play();
}

audio?.addEventListener("timeupdate", () => {
  const at_s = audio.currentTime;
  lane.playAt(at_s);
  for (const row of rows) {
    row.classList.toggle("is-playing", at_s >= Number(row.dataset.from) && at_s <= Number(row.dataset.to));
  }
  const frame = laneElement.parentElement;
  const x = (laneElement.clientWidth * at_s) / talk.duration_s;
  if (!audio.paused) frame.scrollLeft = x - frame.clientWidth / 2;
});
