// Records, on one clock, what the page gets from the microphone (left) and what it plays (right). Injected before the
// page's scripts.
(() => {
  const ear = (window.__ear = { chunks: [], rate: 0 });
  const code = `registerProcessor('ear', class extends AudioWorkletProcessor {
    constructor() {
      super();
      this.kept = new Float32Array(128 * 2 * 64);
      this.at = 0;
    }
    process(inputs) {
      for (const side of inputs) {
        if (side[0]) this.kept.set(side[0], this.at);
        else this.kept.fill(0, this.at, this.at + 128);
        this.at += 128;
      }
      if (this.at === this.kept.length) {
        this.port.postMessage(this.kept);
        this.at = 0;
      }
      return true;
    }
  });`;
  const connect = AudioNode.prototype.connect;
  let recorder = null;
  const ready = () =>
    (recorder ??= (async () => {
      const context = new AudioContext({ latencyHint: "interactive" });
      ear.rate = context.sampleRate;
      await context.audioWorklet.addModule(
        URL.createObjectURL(new Blob([code], { type: "text/javascript" })),
      );
      const node = new AudioWorkletNode(context, "ear", { numberOfInputs: 2 });
      node.port.onmessage = ({ data }) => ear.chunks.push(data);
      connect.call(node, context.destination);
      return { context, node };
    })());
  const listen = async (stream, input) => {
    const { context, node } = await ready();
    connect.call(context.createMediaStreamSource(stream), node, 0, input);
  };
  const given = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (asked) => {
    // what removes echoes and noise would remove the probe
    const stream = await given({
      ...asked,
      audio: { ...asked.audio, echoCancellation: false, noiseSuppression: false, autoGainControl: false },
    });
    await listen(stream, 0);
    return stream;
  };
  AudioNode.prototype.connect = function (to, ...rest) {
    const result = connect.call(this, to, ...rest);
    if (to instanceof AudioDestinationNode && this.numberOfInputs === 0) {
      const copy = this.context.createMediaStreamDestination();
      connect.call(this, copy);
      listen(copy.stream, 1);
    }
    return result;
  };
})();
