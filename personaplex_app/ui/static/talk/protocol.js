// The wire protocol of the moshi family as the page speaks it: one kind byte, then a payload. No I/O.

export const KIND = Object.freeze({
  handshake: 0,
  audio: 1,
  text: 2,
  control: 3,
  metadata: 4,
  error: 5,
  ping: 6,
});

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function message(kind, payload) {
  const out = new Uint8Array(1 + payload.length);
  out[0] = kind;
  out.set(payload, 1);
  return out;
}

/** One frame of little-endian int16 samples as a message. */
export function audioMessage(pcm) {
  return message(KIND.audio, new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength));
}

/** A metadata message of a type, with its fields. */
export function metadataMessage(type, fields = {}) {
  return message(KIND.metadata, encoder.encode(JSON.stringify({ type, ...fields })));
}

/** Take a message apart: {kind, pcm | text | data}. Returns null for what this page has no use for. */
export function decode(buffer) {
  const bytes = buffer instanceof Uint8Array ? buffer : new Uint8Array(buffer);
  if (!bytes.length) return null;
  const payload = bytes.subarray(1);
  switch (bytes[0]) {
    case KIND.handshake:
      return { kind: KIND.handshake };
    case KIND.audio: {
      // a copy: samples must begin at an even address, and the buffer goes on to another thread
      const whole = payload.slice(0, payload.length - (payload.length % 2));
      return { kind: KIND.audio, pcm: new Int16Array(whole.buffer) };
    }
    case KIND.text:
    case KIND.error:
      return { kind: bytes[0], text: decoder.decode(payload) };
    case KIND.metadata: {
      try {
        const data = JSON.parse(decoder.decode(payload));
        return data && typeof data.type === "string" ? { kind: KIND.metadata, data } : null;
      } catch {
        return null;
      }
    }
    default:
      return null;
  }
}

/** Messages as one HTTP body: each behind its length, uint32 little-endian. */
export function pack(messages) {
  const out = new Uint8Array(messages.reduce((sum, each) => sum + 4 + each.length, 0));
  const view = new DataView(out.buffer);
  let at = 0;
  for (const each of messages) {
    view.setUint32(at, each.length, true);
    out.set(each, at + 4);
    at += 4 + each.length;
  }
  return out;
}

/** Cuts a packed byte stream, in pieces of any size, into messages. */
export class Unpacker {
  constructor() {
    this.rest = new Uint8Array(0);
  }

  push(chunk) {
    const joined = new Uint8Array(this.rest.length + chunk.length);
    joined.set(this.rest);
    joined.set(chunk, this.rest.length);
    const view = new DataView(joined.buffer);
    const found = [];
    let at = 0;
    while (joined.length - at >= 4) {
      const length = view.getUint32(at, true);
      if (joined.length - at - 4 < length) break;
      found.push(joined.slice(at + 4, at + 4 + length));
      at += 4 + length;
    }
    this.rest = joined.slice(at);
    return found;
  }
}
