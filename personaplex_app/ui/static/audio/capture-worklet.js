// The microphone through Web Audio, in browsers that give it in no other way.

import { Framer } from "./framer.js";

class Capture extends AudioWorkletProcessor {
  constructor() {
    super();
    this.over = false;
    this.framer = new Framer(this.port, () => (this.over = true));
  }

  process(inputs) {
    // an unplugged microphone gives no channel at all; the talk's clock runs on
    this.framer.push(inputs[0][0] ?? new Float32Array(128), sampleRate);
    return !this.over;
  }
}

registerProcessor("personaplex-capture", Capture);
