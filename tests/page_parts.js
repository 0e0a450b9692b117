// Runs the page's own modules in the browser and tells what they did; test_page_parts.py judges it.

export async function ring(folder) {
  const { JitterRing } = await import(`${folder}/audio/jitter-ring.js`);
  // the same numbers from 0 to 1 at every run
  const random = (seed) => {
    let state = seed;
    return () => {
      state = (state * 1664525 + 1013904223) >>> 0;
      return state / 4294967296;
    };
  };
  const run = (late, seconds, rate = 1) => {
    const buffer = new JitterRing(24000);
    const out = new Float32Array(128);
    const chance = random(7);
    let sent = 0,
      due = 0,
      worst = 0,
      before = 0,
      settledAt = 0;
    const arrives = (i) => (due = Math.max(due, (i * 80) / rate + late(i, chance)));
    let next = arrives(0);
    for (let now = 0; now < seconds * 1000; now += 128 / 24) {
      for (; next <= now; next = arrives(++sent)) {
        const pcm = new Int16Array(1920);
        for (let i = 0; i < 1920; i++) {
          pcm[i] = 3000 * Math.sin((2 * Math.PI * 220 * (sent * 1920 + i)) / 24000);
        }
        buffer.push(pcm);
      }
      buffer.pull(out);
      for (const y of out) {
        worst = Math.max(worst, Math.abs(y - before));
        before = y;
      }
      if (now < 10000) settledAt = buffer.underruns;
    }
    return { ...buffer.report(), fill_ms: buffer.fill / 24, worst, after: buffer.underruns - settledAt };
  };
  return {
    calm: run((i, chance) => 4 + 6 * chance(), 60),
    jitter: run((i, chance) => 100 + 60 * chance() - 30, 130),
    stall: run((i) => (i > 250 && i < 288 ? (288 - i) * 80 : 0), 60),
    fast: run((i, chance) => 5 * chance(), 120, 1.002),
    slow: run((i, chance) => 5 * chance(), 120, 0.998),
  };
}

export async function parts(folder) {
  const { Unpacker, pack, decode, audioMessage, metadataMessage } = await import(
    `${folder}/talk/protocol.js`
  );
  const { Resampler } = await import(`${folder}/audio/resampler.js`);
  const { HOST } = await import(`${folder}/shared/host.js`);
  const { LaneData } = await import(`${folder}/shared/lane-data.js`);
  const messages = [
    audioMessage(Int16Array.from([1, -2, 300])),
    metadataMessage("stop"),
    new Uint8Array([2, 104, 105]),
  ];
  const packed = pack(messages);
  const unpacker = new Unpacker();
  const pieces = [];
  for (const byte of packed) pieces.push(...unpacker.push(Uint8Array.of(byte)));
  const [audio, stop, text] = pieces.map(decode);
  const resampler = new Resampler(44100, 24000);
  const heard = [];
  for (let block = 0; block < 400; block++) {
    const x = new Float32Array(128);
    for (let i = 0; i < 128; i++) x[i] = Math.sin((2 * Math.PI * 1000 * (block * 128 + i)) / 44100);
    heard.push(...resampler.push(x));
  }
  let re = 0,
    im = 0,
    power = 0;
  const tail = heard.slice(500);
  tail.forEach((y, i) => {
    re += y * Math.cos((2 * Math.PI * 1000 * i) / 24000);
    im += y * Math.sin((2 * Math.PI * 1000 * i) / 24000);
    power += y * y;
  });
  const { Framer } = await import(`${folder}/audio/framer.js`);
  let frames = 0;
  const sound = { postMessage: () => (frames += 1) };
  const port = { postMessage() {} };
  const framer = new Framer(port, () => {});
  port.onmessage({ data: { sound } });
  sound.onmessage();
  // a headset that becomes a telephone changes its rate in the middle
  for (const rate of [48000, 16000, 44100]) {
    for (let block = 0; block < 100; block++) framer.push(new Float32Array(rate / 100), rate);
  }
  const overlap = { kind: "overlap" };
  const lane = new LaneData({
    duration_s: 65,
    utterances: [{ id: 1, speaker: "user", text: "a" }],
    marks: [overlap, overlap],
  });
  lane.put("user", 5, [0.5]);
  lane.put("user", 10_000_000, [1]);
  return {
    pcm: [...audio.pcm],
    stop: stop.data.type,
    text: text.text,
    host: HOST,
    garbage: [[4, 123], [99], []].map((bytes) => decode(Uint8Array.from(bytes))),
    count: heard.length,
    frames,
    amplitude: (2 * Math.hypot(re, im)) / tail.length,
    rest: power / tail.length - (2 * (re * re + im * im)) / tail.length ** 2,
    summary: lane.summary(),
    peak: lane.user.most(0.1, 0.12),
    length: lane.user.values.length,
  };
}

/** Lay out talks of many kinds, and tell whether words cover each other, change places or leave the row. */
export async function words(folder) {
  const { layOutTurns, layOutWords } = await import(`${folder}/shared/lane-words.js`);
  const context = document.createElement("canvas").getContext("2d");
  let state = 11;
  const chance = () => (state = (state * 1664525 + 1013904223) >>> 0) / 4294967296;
  const faults = [];
  const check = (name, placed, said, end) => {
    for (const speaker of ["user", "agent"]) {
      const row = placed.filter((each) => each.speaker === speaker);
      row.forEach((word, i) => {
        if (word.x < 0 || word.x + word.width > end + 0.01) faults.push(`${name}: ${word.text} is outside`);
        if (i && word.x < row[i - 1].x + row[i - 1].width) {
          faults.push(`${name}: ${word.text} covers another`);
        }
      });
      const text = row.map((each) => each.text).join(" ");
      if (said && text !== said[speaker]) faults.push(`${name}: reads ${text}`);
    }
  };
  let kept = 0,
    behind_s = 0;
  for (let n = 0; n < 200; n++) {
    const utterances = [];
    const said = {};
    for (const speaker of ["user", "agent"]) {
      let at = 0;
      const all = [];
      for (let turn = 0; turn < 4; turn++) {
        at += chance() * 2;
        const start_s = at;
        const list = Array.from({ length: 1 + Math.floor(chance() * 9) }, () => {
          const word = "x".repeat(1 + Math.floor(chance() * 11));
          at += (0.02 + 0.06 * chance()) * word.length;
          return [word, at, at];
        });
        all.push(...list.map(([word]) => word));
        const text = list.map(([word]) => word).join(" ");
        // the times of words are not always known
        utterances.push({
          id: `${speaker}${turn}`,
          speaker,
          text,
          start_s,
          end_s: at,
          words: turn % 2 ? list : [],
        });
      }
      said[speaker] = all.join(" ");
    }
    utterances.sort(() => chance() - 0.5); // they come in any order
    const live = layOutWords(context, utterances, 112);
    check("live", live, said, Infinity);
    const first = utterances.find((each) => each.words.length && each.words[0][1] > 0);
    const shown = live.find((each) => each.speaker === first.speaker && each.text === first.words[0][0]);
    behind_s = Math.max(behind_s, shown.x / 112 - first.words[0][1]);
    for (const width of [320, 900, 2400]) {
      const pxPerS = width / 20;
      const still = layOutWords(context, utterances, pxPerS, width);
      if (still) kept += 1;
      check(`still ${width}`, still ?? [], still && said, width);
      check(`turns ${width}`, layOutTurns(context, utterances, pxPerS, width), null, width);
    }
  }
  return { faults: faults.slice(0, 5), kept, behind_s };
}
