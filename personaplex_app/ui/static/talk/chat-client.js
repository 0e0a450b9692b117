// A talk's connection: a WebSocket, or by itself the same messages over HTTP where sockets do not pass. One that breaks
// or goes silent is replaced by another, to which the server gives the same talk. No DOM, no audio.

import { HttpLink, OPEN_PATIENCE_MS, SocketLink } from "./links.js";
import { KIND, audioMessage, decode, metadataMessage } from "./protocol.js";

const PING_EVERY_MS = 2000;
const LOOK_EVERY_MS = 500;
// the server answers each ping at once: after so long without a word something is wrong
const QUIET_MS = 4500;
// and after so long it is over, where there is no way back
const LOST_MS = 20000;
const AGAIN_MS = 1000;
// orders that mean nothing later
const PASSING = ["ping", "playback"];

/**
 * One talk's connection. `on` has: handshake(), audio(Int16Array), text(string), event(object), failure(sentence),
 * transport(name), away("away" or "quiet") when the server is not heard any more and whether another connection is
 * tried, back() when it is heard again, and closed({code, reason, heard}).
 */
export class ChatClient {
  /**
   * @param {string} base the app's address; in its own page the path below which it lies
   * @param {object} on
   * @param {Record<string, string>} [headers] outside of a browser: a key or token, such as `{"X-API-Key": …}`
   */
  constructor(base, on, headers) {
    this.base = base;
    this.on = on;
    this.headers = headers;
    this.link = null;
    this.over = false;
    this.droppedFrames = 0;
    this.tripMs = null;
    this.token = null; // with which the talk is found again
    this.ended = false; // the server has said goodbye
    this.away = false; // the connection is lost, and another is tried
    this.quiet = false; // nothing is heard, and no other can be tried
    this.waiting = []; // orders, until there is a connection again
  }

  /** Connect and ask for a talk. Rejects when neither transport opens; `refused` is then what the server said. */
  async start(request) {
    this.request = { ...request, resumable: true };
    this.timers = [
      setInterval(() => this.order("ping", { sent: Math.round(performance.now()) }), PING_EVERY_MS),
      setInterval(() => this.look(), LOOK_EVERY_MS),
    ];
    try {
      await this.use(new SocketLink(this.base, this.headers));
    } catch {
      await this.fallBack();
    }
  }

  async fallBack() {
    this.link?.abandon();
    if (!this.over) await this.use(new HttpLink(this.base, this.headers));
  }

  async use(link) {
    this.link = link;
    link.on = { message: (data) => this.take(decode(data)), close: (event) => this.lost(link, event) };
    await link.opened;
    if (this.over) return link.close();
    if (this.link !== link) return link.abandon();
    this.heard_ms = performance.now();
    link.send(this.opening(), false);
    this.on.transport(link.name);
  }

  opening() {
    if (!this.token) return metadataMessage("start", this.request);
    const { owner } = this.request;
    return metadataMessage("resume", { token: this.token, owner, received: this.received });
  }

  // a connection that is lost

  lost(link, event) {
    if (this.over || this.link !== link) return;
    if (this.away) return this.settle("lost");
    if (this.token && !this.ended) {
      this.comeBack();
      return;
    }
    // some proxies let a socket open and then cut it before a word was said
    const cutAtOnce = link.name === "socket" && event.code === 1006 && !event.heard;
    if (!cutAtOnce) return this.finish(event);
    this.fallBack().catch((error) => this.finish({ code: 1006, reason: error.message, heard: false }));
  }

  /** Notice that nothing comes any more. */
  look() {
    if (this.over || this.away || this.heard_ms === undefined) return;
    const quiet_ms = performance.now() - this.heard_ms;
    if (quiet_ms < QUIET_MS) {
      if (this.quiet) this.on.back();
      this.quiet = false;
      return;
    }
    if (this.token) {
      this.comeBack();
      return;
    }
    if (!this.quiet) this.on.away("quiet");
    this.quiet = true;
    if (quiet_ms > LOST_MS) {
      this.link?.abandon();
      this.finish({ code: 1006, reason: "", heard: true });
    }
  }

  /** Try other connections for as long as the server keeps the talk. */
  async comeBack() {
    this.away = true;
    this.received = this.link.received;
    this.on.away("away");
    const first = this.link.name;
    const until_ms = this.heard_ms + this.within_ms;
    // the network may be another than before: every second try goes the other way
    for (let attempt = 0; !this.over; attempt += 1) {
      this.link.abandon();
      const socket = (first === "socket") === (attempt % 2 === 0);
      const outcome = await this.attempt(socket);
      if (this.over || outcome === "back") return;
      if (outcome === "refused" || performance.now() > until_ms) break;
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    }
    this.finish({ code: 1006, reason: "", heard: true });
  }

  /** Ask for the talk over a new connection; returns "back", "refused" or "lost". */
  async attempt(socket) {
    const outcome = new Promise((resolve) => (this.settle = resolve));
    try {
      await this.use(new (socket ? SocketLink : HttpLink)(this.base, this.headers));
    } catch {
      return "lost";
    }
    const timer = setTimeout(() => this.settle("lost"), OPEN_PATIENCE_MS);
    return outcome.finally(() => clearTimeout(timer));
  }

  resumable({ token, within_s }) {
    this.token = token;
    this.within_ms = within_s * 1000;
    if (!this.away) return;
    this.away = false;
    this.settle("back");
    this.on.back();
    for (const message of this.waiting.splice(0)) this.link.send(message, false);
  }

  // what comes and goes

  take(message) {
    if (this.over) return;
    this.heard_ms = performance.now();
    if (!message) return;
    if (message.kind !== KIND.audio) this.link.received += 1;
    switch (message.kind) {
      case KIND.handshake:
        return this.on.handshake();
      case KIND.audio:
        return this.on.audio(message.pcm);
      case KIND.text:
        return this.on.text(message.text);
      case KIND.error:
        // why another connection failed matters to nobody
        return this.away ? undefined : this.on.failure(message.text);
      case KIND.metadata:
        return this.takeEvent(message.data);
    }
  }

  takeEvent(event) {
    // that a talk is no more is told as what it is: lost
    switch (event.type) {
      case "pong":
        this.tripMs = performance.now() - event.sent;
        break;
      case "resumable":
        this.resumable(event);
        break;
      case "ended":
        if (this.away && event.reason === "cannot_resume") return this.settle("refused");
        this.ended = true;
        break;
    }
    this.on.event(event);
  }

  /** Send one frame of the microphone, Int16Array. */
  audio(pcm) {
    if (!this.away && !this.link?.send(audioMessage(pcm), true)) this.droppedFrames += 1;
  }

  /** Send a metadata message such as stop or interrupt; while there is no connection it waits for one. */
  order(type, fields) {
    const message = metadataMessage(type, fields);
    if (!this.away) this.link?.send(message, false);
    else if (!PASSING.includes(type)) this.waiting.push(message);
  }

  finish(event) {
    if (this.over) return;
    this.rest();
    this.on.closed(event);
  }

  /** Leave without waiting for anybody. */
  close() {
    this.rest();
    this.link?.close();
  }

  rest() {
    this.over = true;
    this.timers?.forEach(clearInterval);
  }
}
