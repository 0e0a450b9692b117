// The microphone straight from its track, on a thread of its own: Web Audio's buffer in between costs 10 ms and
// tears now and then.

import { SAMPLE_RATE_HZ } from "./format.js";
import { Framer } from "./framer.js";

const LOST_MS = 200;
const STARVED_MS = 3000;

const framer = new Framer(self, () => self.close());
const take = self.onmessage;
let rateHz = SAMPLE_RATE_HZ;
let last_ms = performance.now();
let heard_ms = last_ms;
let starved = false;

self.onmessage = (event) => {
  if (event.data.track) read(event.data.track.getReader());
  else take(event);
};

setInterval(fill, LOST_MS / 4);

async function read(reader) {
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const samples = new Float32Array(value.numberOfFrames);
    value.copyTo(samples, { planeIndex: 0, format: "f32-planar" });
    rateHz = value.sampleRate;
    value.close();
    last_ms = heard_ms = performance.now();
    if (starved) self.postMessage({ starved: (starved = false) });
    framer.push(samples, rateHz);
  }
}

/** An unplugged microphone gives nothing at all; the talk's clock runs on. */
function fill() {
  if (!starved && performance.now() - heard_ms > STARVED_MS) self.postMessage({ starved: (starved = true) });
  const gap_ms = performance.now() - last_ms;
  if (gap_ms < LOST_MS) return;
  last_ms += gap_ms;
  framer.push(new Float32Array(Math.round((gap_ms / 1000) * rateHz)), rateHz);
}
