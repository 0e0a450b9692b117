// The page's end of transport-worker.js.

/**
 * A talk's connection, run by a worker. `ports` are the audio threads' ends from `AudioRig.ports()`. `on` has: transport(name),
 * text(string), event(object), failure(sentence), unreachable(reason), closed({code, reason, heard}).
 */
export class Connection {
  constructor(folder, base, request, ports, on) {
    this.worker = new Worker(`${folder}/transport-worker.js`, { type: "module" });
    this.worker.onmessage = ({ data }) => this.worker && on[data.name](...data.values);
    this.worker.onerror = (event) => {
      event.preventDefault();
      on.unreachable(event.message ?? "");
    };
    this.worker.postMessage({ begin: { base, request, ...ports } }, [ports.capture, ports.playback]);
  }

  order(type, fields = {}) {
    this.worker?.postMessage({ order: type, fields });
  }

  close() {
    this.worker?.postMessage({ close: true });
    this.worker = null;
  }
}
