// A talk's connection: a WebSocket, or by itself the same messages over HTTP where sockets do not pass. No DOM, no
// audio.

import { KIND, Unpacker, audioMessage, decode, metadataMessage, pack } from "./protocol.js";

const OPEN_PATIENCE_MS = 5000;
// what a slow uplink may hold back: 2 s of audio; after that frames are dropped rather than memory filled
const MOST_WAITING_BYTES = 2 * 48000;
const MOST_WAITING_MESSAGES = 64;
const PING_EVERY_MS = 2000;
const QUERY = "codec=pcm&events=1&config=message";
const SILENT = Object.freeze({ message() {}, close() {} });

class SocketLink {
  constructor(url) {
    this.name = "socket";
    this.on = SILENT;
    this.heard = false;
    this.socket = new WebSocket(url);
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

  abandon() {
    this.on = SILENT;
    this.close();
  }
}

class HttpLink {
  constructor(url) {
    this.name = "HTTP";
    this.url = url;
    this.on = SILENT;
    this.heard = false;
    this.waiting = [];
    this.number = 0;
    this.posting = false;
    this.gone = new AbortController();
    this.opened = this.open();
  }

  async open() {
    const answer = await this.begin();
    if (!answer.ok) {
      const said = await answer.json().catch(() => ({}));
      throw new Error(said.message || `HTTP ${answer.status}`);
    }
    this.id = (await answer.json()).id;
    const stream = await fetch(`${this.url}/${this.id}`, { signal: this.gone.signal, cache: "no-store" });
    if (!stream.ok) throw new Error(`HTTP ${stream.status}`);
    this.read(stream.body.getReader());
  }

  async begin() {
    const ask = () => fetch(`${this.url}?${QUERY}`, { method: "POST", signal: this.gone.signal });
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
        fetch(`${this.url}/${this.id}?n=${number}`, { method: "POST", body, signal: this.gone.signal });
      // a POST may be lost with its connection; its number makes one retry harmless
      const answer = await ask()
        .catch(() => ask())
        .catch(() => null);
      if (!answer?.ok) break;
    }
    this.posting = false;
  }

  close() {
    if (this.id) fetch(`${this.url}/${this.id}`, { method: "DELETE", keepalive: true }).catch(() => {});
    this.gone.abort();
  }

  abandon() {
    this.on = SILENT;
    this.close();
  }
}

/**
 * One talk's connection. `on` has: handshake(), audio(Int16Array), text(string), event(object), failure(sentence),
 * transport(name), closed({code, reason, heard}).
 */
export class ChatClient {
  constructor(base, on) {
    this.base = base;
    this.on = on;
    this.link = null;
    this.over = false;
    this.droppedFrames = 0;
    this.tripMs = null;
  }

  /** Connect and ask for a talk. Rejects when neither transport opens. */
  async start(request) {
    this.open = metadataMessage("start", request);
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    this.pinger = setInterval(
      () => this.order("ping", { sent: Math.round(performance.now()) }),
      PING_EVERY_MS,
    );
    try {
      await this.use(() => new SocketLink(`${scheme}//${location.host}${this.base}/api/chat?${QUERY}`));
    } catch {
      await this.fallBack();
    }
  }

  async fallBack() {
    this.link?.abandon();
    await this.use(() => new HttpLink(`${this.base}/api/chat/http`));
  }

  async use(make) {
    if (this.over) return;
    const link = make();
    this.link = link;
    link.on = { message: (data) => this.take(decode(data)), close: (event) => this.lost(link, event) };
    await link.opened;
    if (this.over || this.link !== link) return link.abandon();
    link.send(this.open, false);
    this.on.transport(link.name);
  }

  lost(link, event) {
    if (this.over || this.link !== link) return;
    // some proxies let a socket open and then cut it before a word was said
    const cutAtOnce = link.name === "socket" && event.code === 1006 && !event.heard;
    if (!cutAtOnce) return this.finish(event);
    this.fallBack().catch((error) => this.finish({ code: 1006, reason: error.message, heard: false }));
  }

  take(message) {
    if (!message || this.over) return;
    switch (message.kind) {
      case KIND.handshake:
        return this.on.handshake();
      case KIND.audio:
        return this.on.audio(message.pcm);
      case KIND.text:
        return this.on.text(message.text);
      case KIND.error:
        return this.on.failure(message.text);
      case KIND.metadata:
        if (message.data.type === "pong") this.tripMs = performance.now() - message.data.sent;
        return this.on.event(message.data);
    }
  }

  /** Send one frame of the microphone, Int16Array. */
  audio(pcm) {
    if (!this.link?.send(audioMessage(pcm), true)) this.droppedFrames += 1;
  }

  /** Send a metadata message such as stop or interrupt. */
  order(type, fields) {
    this.link?.send(metadataMessage(type, fields), false);
  }

  finish(event) {
    if (this.over) return;
    this.over = true;
    clearInterval(this.pinger);
    this.on.closed(event);
  }

  /** Leave without waiting for anybody. */
  close() {
    this.over = true;
    clearInterval(this.pinger);
    this.link?.close();
  }
}
