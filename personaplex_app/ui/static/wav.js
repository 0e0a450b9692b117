// Recordings on their way to the server, which reads wav, flac, ogg and mp3.

import { SAMPLE_RATE_HZ } from "./protocol.js";

const SERVER_READS = /\.(wav|flac|ogg|oga|opus|mp3)$/i;

/** A file that the server can read: what only the browser knows becomes a wav; what nobody knows is left to the server to refuse. */
export async function readableBy(file) {
  if (!file.name || SERVER_READS.test(file.name)) return file;
  try {
    const sound = await new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ).decodeAudioData(await file.arrayBuffer());
    const channels = Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k));
    const mixed = Int16Array.from({ length: sound.length }, (_, n) => (32767 * Math.max(-1, Math.min(1, channels.reduce((sum, one) => sum + one[n], 0) / channels.length))) | 0);
    return wavOf([mixed]);
  } catch {
    return file;
  }
}

/** Frames of Int16Array at 24 kHz as a wav file. */
export function wavOf(frames) {
  const bytes = 2 * frames.reduce((sum, frame) => sum + frame.length, 0);
  const head = new DataView(new ArrayBuffer(44));
  const letters = (at, text) => [...text].forEach((letter, k) => head.setUint8(at + k, letter.charCodeAt(0)));
  letters(0, "RIFF");
  head.setUint32(4, 36 + bytes, true);
  letters(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, SAMPLE_RATE_HZ, true);
  head.setUint32(28, 2 * SAMPLE_RATE_HZ, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  letters(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, ...frames], { type: "audio/wav" });
}
