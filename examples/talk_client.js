// Hold a talk from Node with the page's own client, and save what the agent said.
//
//   node examples/talk_client.js http://localhost:7860 question.wav answer.wav [PERSONA]
//
// The recording must be 16-bit, 24 kHz, mono. Needs this repository, Node 18.18 or newer, and no package. It talks over
// a WebSocket where Node has one (22 and newer; 20.10 with --experimental-websocket), and else over HTTP by itself.
// PERSONAPLEX_API_KEY is the key of an app that asks for one, HF_TOKEN the token for an app in a private Space.

import { readFileSync, writeFileSync } from "node:fs";
import { argv, env, exit, stderr, stdout } from "node:process";
import { fileURLToPath } from "node:url";

import { ChatClient } from "../personaplex_app/ui/static/talk/chat-client.js";

const RATE_HZ = 24000;
const FRAME_SAMPLES = 1920;
const FRAME_MS = 80;
const HEAD_BYTES = 44;
const LISTEN_S = 8;
const USAGE = "usage: node examples/talk_client.js URL QUESTION.wav ANSWER.wav [PERSONA]";

/**
 * @typedef {object} Talk
 * @property {Int16Array} agent all of the agent's sound, 24 kHz mono
 * @property {{type: string}[]} events the events of docs/protocol.md, in their order
 * @property {string} reason why the talk ended
 * @property {string} transport what it went over, "socket" or "HTTP"
 */

/**
 * Hold a talk in which the user says `question`; the agent has `listenS` seconds more to answer.
 *
 * @param {string} url the app's address, http:// or https://
 * @param {Int16Array} question 24 kHz mono
 * @param {object} [request] the fields of the wire's `start`, such as `{persona: "waste-collection"}`
 * @param {number} [listenS]
 * @param {Record<string, string>} [headers] a key or token, such as `{"X-API-Key": "…"}`
 * @returns {Promise<Talk>} rejects with a sentence when there is no talk
 */
export function talk(url, question, request = {}, listenS = LISTEN_S, headers = undefined) {
  const frames = Math.ceil((question.length + listenS * RATE_HZ) / FRAME_SAMPLES);
  const sound = new Int16Array(frames * FRAME_SAMPLES);
  sound.set(question);
  const heard = [];
  const events = [];
  return new Promise((resolve, reject) => {
    let timer = null;
    let sent = 0;
    let failure = "";
    let transport = "";
    const on = {
      transport: (name) => (transport = name),
      handshake: () => speak(),
      audio: (pcm) => heard.push(pcm),
      text() {},
      event: (event) => events.push(event),
      failure: (sentence) => (failure = sentence),
      away() {},
      back() {},
      closed(end) {
        clearInterval(timer);
        const ended = events.find((each) => each.type === "ended");
        if (!sent) return reject(new Error(failure || ended?.text || end.reason || "There was no talk."));
        const agent = new Int16Array(heard.reduce((sum, each) => sum + each.length, 0));
        let at = 0;
        for (const each of heard) {
          agent.set(each, at);
          at += each.length;
        }
        return resolve({ agent, events, reason: ended?.reason ?? "lost", transport });
      },
    };
    const client = new ChatClient(url.replace(/[/]$/, ""), on, headers);
    function speak() {
      const began_ms = performance.now();
      timer = setInterval(() => {
        // as it would be recorded: the server takes no more than 2 s ahead of real time
        for (; sent < frames && sent * FRAME_MS <= performance.now() - began_ms; sent += 1) {
          client.audio(sound.subarray(sent * FRAME_SAMPLES, (sent + 1) * FRAME_SAMPLES));
        }
        if (sent === frames) {
          clearInterval(timer);
          client.order("stop");
        }
      }, FRAME_MS / 4);
    }
    client.start(request).catch((error) => {
      client.close();
      const why = error.cause?.message ?? error.message;
      const strange = `${url} does not answer as the app does (${why}); is it running there?`;
      reject(new Error(error.refused ?? strange));
    });
  });
}

/** The samples of a wav file. Throws a sentence when it cannot be sent. */
function readWav(path) {
  let file;
  try {
    file = readFileSync(path);
  } catch (error) {
    throw new Error(`${path} cannot be read (${error.code}); give a wav file.`);
  }
  const form =
    file.length < HEAD_BYTES ? "" : `${file.toString("latin1", 0, 4)}${file.toString("latin1", 8, 12)}`;
  if (form !== "RIFFWAVE") throw new Error(`${path} cannot be read as wav; give a wav file.`);
  const [kind, channels] = [file.readUInt16LE(20), file.readUInt16LE(22)];
  const [rateHz, bits] = [file.readUInt32LE(24), file.readUInt16LE(34)];
  if (kind !== 1 || channels !== 1 || rateHz !== RATE_HZ || bits !== 16) {
    throw new Error(
      `${path} has ${rateHz} Hz, ${channels} channels and ${bits} bits;` +
        ` give a recording of ${RATE_HZ} Hz, mono, 16 bits.`,
    );
  }
  const begin = file.indexOf("data", 36, "latin1") + 8;
  const bytes = file.subarray(begin, begin + file.readUInt32LE(begin - 4));
  return Int16Array.from({ length: bytes.length >> 1 }, (_, i) => bytes.readInt16LE(2 * i));
}

function wavOf(samples) {
  const file = Buffer.alloc(HEAD_BYTES + 2 * samples.length);
  file.write("RIFF", 0, "latin1");
  file.writeUInt32LE(file.length - 8, 4);
  file.write("WAVEfmt ", 8, "latin1");
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE(1, 20);
  file.writeUInt16LE(1, 22);
  file.writeUInt32LE(RATE_HZ, 24);
  file.writeUInt32LE(2 * RATE_HZ, 28);
  file.writeUInt16LE(2, 32);
  file.writeUInt16LE(16, 34);
  file.write("data", 36, "latin1");
  file.writeUInt32LE(2 * samples.length, 40);
  samples.forEach((sample, i) => file.writeInt16LE(sample, HEAD_BYTES + 2 * i));
  return file;
}

/** What an app or a Space that is not open to all asks for; undefined for nothing. */
function headersOf({ PERSONAPLEX_API_KEY: key, HF_TOKEN: token }, url) {
  const headers = {
    ...(key && { "X-API-Key": key }),
    ...(token && new URL(url).hostname.endsWith(".hf.space") && { Authorization: `Bearer ${token}` }),
  };
  return Object.keys(headers).length ? headers : undefined;
}

async function main(given) {
  if (given.includes("--help") || given.includes("-h")) {
    stdout.write(
      `${USAGE}\n\nSays a recording to the app and saves the agent's answer. PERSONAPLEX_API_KEY is the key of an` +
        " app that asks for one,\nHF_TOKEN the token for a private Space.\n",
    );
    return 0;
  }
  if (given.length < 3) {
    stderr.write(`${USAGE}\n`);
    return 2;
  }
  const [url, question, answer, persona] = given;
  try {
    if (!/^https?:[/][/]./.test(url)) {
      throw new Error(`${url} is no address; it must begin with http:// or https://.`);
    }
    const request = persona ? { persona } : {};
    const held = await talk(url, readWav(question), request, LISTEN_S, headersOf(env, url));
    writeFileSync(answer, wavOf(held.agent));
    for (const each of held.events.filter((event) => event.type === "utterance" && event.final)) {
      stdout.write(`${each.speaker}: ${each.text}\n`);
    }
    stdout.write(`ended: ${held.reason}, over ${held.transport}\n`);
    return 0;
  } catch (error) {
    stderr.write(`${error.message}\n`);
    return 1;
  }
}

if (argv[1] === fileURLToPath(import.meta.url)) exit(await main(argv.slice(2)));
