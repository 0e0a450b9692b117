// The page's end of transport-worker.js.

/** A talk's connection, run by a worker, so that sound does not wait for a page that is busy drawing. */
export class Connection {
  /**
   * @param {string} base the path under which the app is served
   * @param {object} request the fields of the wire's `start` message
   * @param {{capture: MessagePort, playback: MessagePort}} ports the audio threads' ends, from `AudioRig.ports()`
   * @param {object} on
   * @param {(name: string) => void} on.transport "socket" or "HTTP" carries it
   * @param {(piece: string) => void} on.text
   * @param {(event: object) => void} on.event one of the wire's events
   * @param {(sentence: string) => void} on.failure
   * @param {(kind: string) => void} on.away the server is not heard any more: "away" while other connections are tried,
   *   "quiet" where that cannot be
   * @param {() => void} on.back it is heard again, and the talk goes on
   * @param {(sentence: string) => void} on.unreachable neither transport opened; what the server said, if anything
   * @param {(end: {code: number, reason: string, heard: boolean}) => void} on.closed `heard` tells whether the server
   *   ever said anything
   */
  constructor(base, request, ports, on) {
    this.worker = new Worker(new URL("transport-worker.js", import.meta.url), { type: "module" });
    this.worker.onmessage = ({ data }) => this.worker && on[data.name](...data.values);
    this.worker.onerror = (event) => {
      event.preventDefault();
      if (this.worker) on.unreachable("");
    };
    this.worker.postMessage({ begin: { base, request, ...ports } }, [ports.capture, ports.playback]);
  }

  /** Send one of the wire's orders: "stop", "interrupt", "sampling" or "playback", with its fields. */
  order(type, fields = {}) {
    this.worker?.postMessage({ order: type, fields });
  }

  close() {
    this.worker?.postMessage({ close: true });
    this.worker = null;
  }
}
