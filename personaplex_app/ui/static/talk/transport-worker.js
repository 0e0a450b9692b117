// The connection on a thread of its own: sound goes from the microphone's thread to the network and back to the
// loudspeaker's without waiting for the page, which may be busy drawing.

import { ChatClient } from "./chat-client.js";

let client = null;
let player = null;

function tell(name, ...values) {
  self.postMessage({ name, values });
}

/** The server's figures, and what only this end knows. */
function withOwnFigures(stats) {
  return { ...stats, trip_ms: client.tripMs, dropped_frames: client.droppedFrames };
}

function begin({ base, request, capture, playback }) {
  player = playback;
  client = new ChatClient(base, {
    transport: (name) => tell("transport", name),
    handshake: () => {
      // the first sample from here is the talk's time zero
      capture.postMessage({ run: true });
    },
    audio: (pcm) => player.postMessage({ pcm }, [pcm.buffer]),
    text: (piece) => tell("text", piece),
    event: (event) => tell("event", event.type === "stats" ? withOwnFigures(event) : event),
    failure: (text) => tell("failure", text),
    away: (kind) => tell("away", kind),
    back: () => tell("back"),
    closed: (event) => tell("closed", event),
  });
  capture.onmessage = ({ data }) => client.audio(data.pcm);
  client.start(request).catch((error) => tell("unreachable", error.refused ?? ""));
}

self.onmessage = ({ data }) => {
  if (data.begin) {
    begin(data.begin);
  } else if (data.order) {
    client?.order(data.order, data.fields);
  } else if (data.close) {
    client?.close();
    // what leaves last, such as the HTTP goodbye, needs a moment
    setTimeout(() => self.close(), 1000);
  }
};
