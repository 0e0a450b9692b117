// Recordings on their way to the server, which reads wav, flac, ogg and mp3.

import { SAMPLE_RATE_HZ } from "./format.js";

const SERVER_READS = /\.(wav|flac|ogg|oga|opus|mp3)$/i;
const HEADER_BYTES = 44;

/**
 * A file that the server can read. What only the browser can decode becomes a wav; what nobody can is left to the
 * server to refuse.
 *
 * @param {File|Blob} file
 */
export async function readableBy(file) {
  if (!file.name || SERVER_READS.test(file.name)) return file;
  try {
    const context = new OfflineAudioContext(1, 1, SAMPLE_RATE_HZ);
    return wavOf([mixed(await context.decodeAudioData(await file.arrayBuffer()))]);
  } catch {
    return file;
  }
}

/** All channels of an AudioBuffer in one, as Int16Array. */
function mixed(sound) {
  const channels = Array.from({ length: sound.numberOfChannels }, (_, k) => sound.getChannelData(k));
  return Int16Array.from({ length: sound.length }, (_, n) => {
    const mean = channels.reduce((sum, channel) => sum + channel[n], 0) / channels.length;
    return Math.trunc(32767 * Math.max(-1, Math.min(1, mean)));
  });
}

/**
 * Frames at 24 kHz as a wav file.
 *
 * @param {Int16Array[]} frames
 */
export function wavOf(frames) {
  const bytes = 2 * frames.reduce((sum, frame) => sum + frame.length, 0);
  const head = new DataView(new ArrayBuffer(HEADER_BYTES));
  const letters = (at, text) => [...text].forEach((letter, k) => head.setUint8(at + k, letter.charCodeAt(0)));
  letters(0, "RIFF");
  head.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  letters(8, "WAVEfmt ");
  head.setUint32(16, 16, true); // the length of what describes the format
  head.setUint16(20, 1, true); // PCM
  head.setUint16(22, 1, true); // channels
  head.setUint32(24, SAMPLE_RATE_HZ, true);
  head.setUint32(28, 2 * SAMPLE_RATE_HZ, true); // bytes a second
  head.setUint16(32, 2, true); // bytes a sample
  head.setUint16(34, 16, true); // bits a sample
  letters(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, ...frames], { type: "audio/wav" });
}
