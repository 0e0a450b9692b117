// The two ways on which a talk's messages go: a WebSocket, or streamed answers and POSTs over HTTP.

import { Unpacker, pack } from "./protocol.js";

/** How long a connection may take to open. */
export const OPEN_PATIENCE_MS = 5000;
// a proxy that buffers lets the answer's head pass with the first bytes of its body, which may be a sign of life
const STREAM_PATIENCE_MS = 12000;
// what a slow uplink may hold back: 2 s of audio; after that frames are dropped rather than memory filled
const MOST_WAITING_BYTES = 2 * 48000;
const MOST_WAITING_MESSAGES = 64;
const QUERY = "codec=pcm&events=1&config=message";
// closes without a goodbye, as a broken connection does: the talk waits for its client to come back
const NO_GOODBYE = 4000;
const SILENT = Object.freeze({ message() {}, close() {} });

/** A WebSocket to the app at `base`: an address, or in a page a path. Only Node sends `headers` with it. */
export class SocketLink {
  constructor(base, headers) {
    this.name = "socket";
    this.on = SILENT;
    this.heard = false;
    this.received = 0; // messages but for sound
    const url = new URL(`${base}/api/chat?${QUERY}`, globalThis.location?.href);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url, headers && { headers });
    this.socket.binaryType = "arraybuffer";
    this.opened = new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error("timeout")), OPEN_PATIENCE_MS);
      let open = false;
      this.socket.onopen = () => {
        open = true;
        clearTimeout(timer);
        resolve();
      };
      this.socket.onclose = (event) => {
        clearTimeout(timer);
        reject(new Error("the socket did not open"));
        if (open) this.on.close({ code: event.code, reason: event.reason, heard: this.heard });
      };
    });
    this.socket.onmessage = (event) => {
      this.heard = true;
      this.on.message(event.data);
    };
  }

  /** Returns false when the message was dropped because too much waits already. */
  send(bytes, droppable) {
    if (this.socket.readyState !== WebSocket.OPEN) return false;
    if (droppable && this.socket.bufferedAmount > MOST_WAITING_BYTES) return false;
    this.socket.send(bytes);
    return true;
  }

  close() {
    this.socket.close(1000);
  }

  /** Use it no more, without ending its talk. */
  abandon() {
    this.on = SILENT;
    this.socket.close(NO_GOODBYE);
  }
}

/** The same over HTTP. */
export class HttpLink {
  constructor(base, headers) {
    this.name = "HTTP";
    this.url = `${base}/api/chat/http`;
    this.headers = headers;
    this.on = SILENT;
    this.heard = false;
    this.received = 0;
    this.waiting = [];
    this.number = 0;
    this.posting = false;
    this.gone = new AbortController();
    const timer = setTimeout(() => this.gone.abort(), STREAM_PATIENCE_MS);
    this.opened = this.open().finally(() => clearTimeout(timer));
  }

  fetch(path, options) {
    return fetch(`${this.url}${path}`, { headers: this.headers, ...options });
  }

  async open() {
    const answer = await this.begin();
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      throw Object.assign(new Error(said.message || `HTTP ${answer.status}`), { refused: said.message });
    }
    this.id = (await answer.json()).id;
    const stream = await this.fetch(`/${this.id}`, { signal: this.gone.signal, cache: "no-store" });
    if (!stream.ok) throw new Error(`HTTP ${stream.status}`);
    this.read(stream.body.getReader());
  }

  async begin() {
    const ask = () => this.fetch(`?${QUERY}`, { method: "POST", signal: this.gone.signal });
    try {
      return await ask();
    } catch (error) {
      if (this.gone.signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, 500));
      return ask();
    }
  }

  async read(reader) {
    const unpacker = new Unpacker();
    let whole = false;
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        for (const each of unpacker.push(value)) {
          this.heard = true;
          this.on.message(each);
        }
      }
      whole = true;
    } catch {
      // a broken stream and a closed one end alike
    }
    this.on.close({ code: whole ? 1000 : 1006, reason: "", heard: this.heard });
  }

  send(bytes, droppable) {
    if (!this.id || this.gone.signal.aborted) return false;
    if (droppable && this.waiting.length >= MOST_WAITING_MESSAGES) return false;
    this.waiting.push(bytes);
    if (!this.posting) this.post();
    return true;
  }

  async post() {
    this.posting = true;
    while (this.waiting.length && !this.gone.signal.aborted) {
      const body = pack(this.waiting.splice(0));
      const number = this.number++;
      const ask = () =>
        this.fetch(`/${this.id}?n=${number}`, { method: "POST", body, signal: this.gone.signal });
      // a POST may be lost with its connection; its number makes one retry harmless
      const answer = await ask()
        .catch(() => ask())
        .catch(() => null);
      if (!answer?.ok) break;
    }
    this.posting = false;
  }

  close() {
    if (this.id) this.fetch(`/${this.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
    this.gone.abort();
  }

  /** Use it no more, without ending its talk. */
  abandon() {
    this.on = SILENT;
    this.gone.abort();
  }
}
