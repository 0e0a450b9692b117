// The buffer between the network and the ear. It keeps just enough sound waiting that late frames do not tear a
// hole, and no more.
//
// The measure is the low-water mark: the least that waited, second by second, over the last ten seconds. Above the
// target, sound is dropped; near zero, sound is repeated; both in steps of a few milliseconds where the wave is like
// itself, with a crossfade, and sooner where it is quiet. An empty buffer raises the target; quiet times lower it
// again.

const WINDOW_S = 10;
const TRIM_AFTER_S = 3;
const TARGET_MS = 10;
const FIRST_MS = 20; // until the network is known
const TARGET_MOST_MS = 90;
const RAISE_MS = 8;
const FALL_MS_PER_S = 0.4;
const SLACK_MS = 3;
const SPREAD_PART = 0.35;
const BOUND_S = 2;
const MATCH_MS = 10;
const FADE_MS = 6;
const LAG_MS = [2, 15];
const QUIET = 0.004;
const HURRY_MS = 150;
const PATIENT_MS = 20;

export class JitterRing {
  /** @param {number} rateHz of what is pushed and pulled */
  constructor(rateHz) {
    this.rate = rateHz;
    this.size = 1 << Math.ceil(Math.log2(rateHz * BOUND_S * 2));
    this.mask = this.size - 1;
    this.data = new Float32Array(this.size);
    this.read = 0;
    this.write = 0;
    this.playing = false;
    this.started = false;
    this.held = 0; // silence still to give before playing (re)starts
    this.missing = 0; // silence given since the buffer ran empty
    this.last = 0;
    this.rise = 0;
    this.fade = null;
    this.target = this.samples(TARGET_MS);
    this.lows = []; // the least fill in each second, corrected for every later shift
    this.low = Infinity;
    this.secondLeft = rateHz;
    this.filled = { sum: 0, count: 0 };
    this.untilSplice = 0;
    this.waited = 0;
    this.underruns = 0;
    this.trimmed = 0;
    this.stretched = 0;
    this.dropped = 0;
  }

  samples(ms) {
    return Math.round((ms / 1000) * this.rate);
  }

  get fill() {
    return this.write - this.read;
  }

  /** Add received samples, Int16Array. Never holds more than 2 s: the oldest go, under a crossfade. */
  push(pcm) {
    const over = this.fill + pcm.length - this.rate * BOUND_S;
    if (over > 0) {
      this.jump(Math.min(over, this.fill), this.samples(FADE_MS));
      this.dropped += over;
    }
    for (let i = 0; i < pcm.length; i++) this.data[(this.write + i) & this.mask] = pcm[i] / 32768;
    this.write += pcm.length;
    if (!this.playing) this.begin();
  }

  /** Leave out all that waits above the aim: it was not played in its time. */
  skip() {
    const over = this.fill - this.aim;
    if (over <= 0) return;
    this.jump(over, this.samples(FADE_MS));
    this.dropped += over;
    this.lows = [];
    this.low = Infinity;
  }

  begin() {
    this.playing = true;
    // the frame that ends a hole was late itself: what comes in time will find more than this waiting
    this.held = this.started ? Math.round(this.target / 2) : this.samples(FIRST_MS);
    this.rise = 0;
    if (this.started) {
      // everything after the hole plays later by the hole's length: so would have been the marks before it
      this.shift(this.missing + this.held);
      this.low = Infinity;
    }
    this.started = true;
    this.missing = 0;
  }

  /** Fill `out` with the next samples. */
  pull(out) {
    if (!this.playing) {
      if (this.started) this.missing += out.length;
      return this.decay(out, 0);
    }
    this.splice();
    const silence = Math.min(this.held, out.length);
    this.decay(out.subarray(0, silence), 0);
    this.held -= silence;
    const sound = Math.min(out.length - silence, this.fill);
    for (let i = 0; i < sound; i++) out[silence + i] = this.next();
    const short = out.length - silence - sound;
    if (short) {
      this.decay(out.subarray(silence + sound), 0);
      this.underrun(short);
    }
    this.observe(out.length);
  }

  next() {
    let y = this.data[this.read & this.mask];
    this.read += 1;
    if (this.fade) {
      const { from, length, done, even } = this.fade;
      const w = (done + 0.5) / length;
      const old = this.data[(from + done) & this.mask];
      y = even ? y * w + old * (1 - w) : y * Math.sqrt(w) + old * Math.sqrt(1 - w);
      if (++this.fade.done >= length) this.fade = null;
    }
    const ramp = this.samples(FADE_MS);
    if (this.rise < ramp) y *= ++this.rise / ramp;
    return (this.last = y);
  }

  /** Silence that begins where the wave stopped, so that it does not click. */
  decay(out) {
    const keep = Math.exp(-1000 / this.rate);
    for (let i = 0; i < out.length; i++) {
      this.last = Math.abs(this.last) < 1e-4 ? 0 : this.last * keep;
      out[i] = this.last;
    }
  }

  underrun(short) {
    this.playing = false;
    this.fade = null;
    this.missing = short;
    this.underruns += 1;
    this.target = Math.min(this.target + this.samples(RAISE_MS), this.samples(TARGET_MOST_MS));
  }

  observe(samples) {
    if (!this.playing) return;
    this.low = Math.min(this.low, this.fill + this.held);
    this.filled.sum += this.fill + this.held;
    this.filled.count += 1;
    this.secondLeft -= samples;
    if (this.secondLeft > 0) return;
    this.secondLeft += this.rate;
    this.lows.push(this.low);
    if (this.lows.length > WINDOW_S) this.lows.shift();
    this.low = Infinity;
    const least = this.samples(TARGET_MS);
    this.target = Math.max(least, this.target - this.samples(FALL_MS_PER_S));
  }

  shift(samples) {
    for (let i = 0; i < this.lows.length; i++) this.lows[i] = Math.max(0, this.lows[i] + samples);
    this.low = Math.max(0, this.low + samples);
  }

  get lowest() {
    return Math.min(this.low, ...this.lows);
  }

  /** How much should wait at the least: what holes have taught, or a part of how much the lows of the window differ. */
  get aim() {
    const spread = this.lows.length ? Math.max(...this.lows) - Math.min(...this.lows) : 0;
    return Math.min(Math.max(this.target, SPREAD_PART * spread), this.samples(TARGET_MOST_MS));
  }

  /** Move the read position, forward or back, under a crossfade. */
  jump(samples, fadeSamples, even = false) {
    // a second jump before the first has faded half goes on fading from where that came from
    const { from, done, length } = this.fade ?? {};
    const early = this.fade && done < length / 2;
    this.fade = { from: early ? from + done : this.read, length: fadeSamples, done: 0, even };
    this.read += samples;
    this.shift(-samples);
  }

  /** Trim or stretch by one small step if it is time and the sound allows it. */
  splice() {
    this.untilSplice -= 128;
    if (this.untilSplice > 0 || this.fade || this.held || this.rise < this.samples(FADE_MS)) return;
    if (this.lows.length < TRIM_AFTER_S) return;
    const aim = this.aim;
    const spare = this.lowest - aim;
    const drop = spare > this.samples(SLACK_MS);
    const repeat = !drop && this.lowest < aim * 0.4;
    if (!drop && !repeat) {
      this.waited = 0;
      return;
    }
    const most = drop ? spare : aim - this.lowest;
    const found = this.match(drop ? 1 : -1, most);
    if (!found) return;
    this.waited += 1;
    const hurry = spare > this.samples(HURRY_MS);
    const patient = drop && spare < this.samples(PATIENT_MS);
    if (found.score < this.likenessAsked(hurry, patient)) {
      this.untilSplice = this.samples(10);
      return;
    }
    this.jump(found.lag, this.samples(FADE_MS), found.score > 0.5);
    if (drop) this.trimmed += found.lag;
    else this.stretched -= found.lag;
    this.waited = 0;
    this.untilSplice = this.samples(hurry || found.quiet ? 40 : 150);
  }

  /** How alike the sound must be where it is spliced: a correlation. */
  likenessAsked(hurry, patient) {
    if (hurry) return 0.5;
    // for a few milliseconds too many none but a good place will do
    if (patient) return 0.9;
    // the longer a good place does not come, the less is asked of one
    return Math.max(0.3, 0.9 - this.waited * 0.02);
  }

  /** The lag, forward or back, at which the sound is most like what comes next. */
  match(direction, most) {
    const width = this.samples(MATCH_MS);
    const fadeSamples = this.samples(FADE_MS);
    const longest = Math.min(this.samples(LAG_MS[1]), most);
    const shortest = Math.min(this.samples(LAG_MS[0]), longest);
    const needed = width + fadeSamples + (direction > 0 ? longest : 0);
    if (this.fill < needed || longest < this.samples(1)) return null;
    if (direction < 0 && this.read < longest) return null;
    const here = this.energy(this.read, width);
    if (
      here < width * QUIET * QUIET &&
      this.energy(this.read + direction * longest, width) < width * QUIET * QUIET
    ) {
      return { lag: direction * longest, score: 1, quiet: true };
    }
    let best = { lag: 0, score: -1, quiet: false };
    for (let lag = shortest; lag <= longest; lag += 1) {
      const other = this.read + direction * lag;
      let dot = 0;
      let power = 1e-9;
      for (let i = 0; i < width; i += 2) {
        const a = this.data[(this.read + i) & this.mask];
        const b = this.data[(other + i) & this.mask];
        dot += a * b;
        power += b * b;
      }
      const score = dot / Math.sqrt(power * (here / 2 + 1e-9));
      if (score > best.score) best = { lag: direction * lag, score, quiet: false };
    }
    return best;
  }

  energy(from, width) {
    let sum = 0;
    for (let i = 0; i < width; i++) sum += this.data[(from + i) & this.mask] ** 2;
    return sum;
  }

  /** What the page shows and reports, in milliseconds; `buffer_ms` is the mean since the last report. */
  report() {
    const ms = (samples) => Math.round((samples / this.rate) * 1000);
    const { sum, count } = this.filled;
    this.filled = { sum: 0, count: 0 };
    return {
      buffer_ms: count ? ms(sum / count) : 0,
      low_ms: Number.isFinite(this.lowest) ? ms(this.lowest) : 0,
      target_ms: ms(this.aim),
      underruns: this.underruns,
      trimmed_ms: ms(this.trimmed + this.dropped),
      stretched_ms: ms(this.stretched),
    };
  }
}
