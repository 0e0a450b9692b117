"""Measure mouth-to-ear latency, cuts, drift and buffer underruns of the page with the echo engine, in
headless Chromium.

    python -m benchmarks.mouth_to_ear [--seconds 120] [--delay-ms 100 --jitter-ms 30] [--json OUT]

The microphone plays a pilot tone with one burst of noise a second, each unlike the others. What the page gets
from the microphone and what it plays are recorded on one clock; each burst is looked for in what was played.
`total_ms` holds everything from one to the other: 80 ms of framing and 80 ms of the echo engine are in it,
the sound card is not. `--delay-ms` and `--jitter-ms` delay all traffic, each way by half, so that they add up
to a round trip of delay ± jitter.
"""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from playwright.sync_api import Page
from scipy.signal import butter, correlate, sosfilt, sosfiltfilt

from personaplex_app.cli.doctor import machine
from personaplex_app.units import FRAME_MS
from tests.support.app_process import app_process
from tests.support.browser import MICROPHONE_HZ, chromium, open_page, start_talk, write_microphone
from tests.support.faulty_proxy import LinkFaults, faulty_proxy

PILOT_HZ = 300
BURST_S = 0.11
COLLECT = """() => {
  const all = new Float32Array(window.__ear.chunks.reduce((n, each) => n + each.length, 0));
  let at = 0;
  for (const each of window.__ear.chunks) { all.set(each, at); at += each.length; }
  const bytes = new Uint8Array(all.buffer);
  let text = '';
  for (let i = 0; i < bytes.length; i += 32768) {
    text += String.fromCharCode.apply(null, bytes.subarray(i, i + 32768));
  }
  return [window.__ear.rate, btoa(text)];
}"""
BUFFER = r"""() => {
  const field = document.querySelector('[data-readout="buffer"]');
  const [, gaps, trimmed] = field.title.match(/(\d+) gaps, (\d+) ms trimmed/) ?? [0, 0, 0];
  return { buffer_ms: parseInt(field.textContent) || 0, underruns: Number(gaps),
      trimmed_ms: Number(trimmed) };
}"""


def probe(seconds: int = 60) -> np.ndarray:
    """Return the microphone's signal, float32 [N]."""
    chance = np.random.default_rng(11)
    n = np.arange(MICROPHONE_HZ * seconds)
    signal = 0.06 * np.sin(2 * np.pi * PILOT_HZ * n / MICROPHONE_HZ)
    band = butter(4, [700, 4500], "bandpass", fs=MICROPHONE_HZ, output="sos")
    length = int(BURST_S * MICROPHONE_HZ)
    for second in range(seconds):
        burst = sosfilt(band, chance.standard_normal(length + 4800))[4800:] * np.hanning(length) ** 0.3
        at = int((second + 0.3 + 0.3 * chance.random()) * MICROPHONE_HZ)
        signal[at : at + length] += 0.45 * burst / np.abs(burst).max()
    return signal.astype(np.float32)


def latencies_ms(mouth: np.ndarray, ear: np.ndarray, rate_hz: int, longest_s: float = 3.0) -> list[float]:
    """Return how much later each burst was played than spoken.

    Shapes: `mouth` and `ear` are float32 [N].
    """
    band = butter(4, [800, 4200], "bandpass", fs=rate_hz, output="sos")
    mouth, ear = sosfilt(band, mouth), sosfilt(band, ear)
    loud = np.sqrt(np.convolve(mouth**2, np.ones(rate_hz // 50) / (rate_hz // 50), "same"))
    starts = np.nonzero(np.diff(np.r_[0, (loud > 0.3 * np.percentile(loud, 98)).astype(int)]) == 1)[0]
    starts = starts[np.diff(np.r_[-rate_hz, starts]) > rate_hz // 4]
    found = []
    for start in starts:
        burst = mouth[start : start + int(BURST_S * rate_hz)]
        window = ear[start : start + int(longest_s * rate_hz)]
        if len(window) < int(longest_s * rate_hz):
            break
        energy = np.convolve(window**2, np.ones(len(burst)), "valid")
        likeness = np.abs(correlate(window, burst, "valid", method="fft")) / np.sqrt(
            np.maximum(energy, 1e-6) * np.sum(burst**2)
        )
        best = int(np.argmax(likeness))
        # a burst that was cut in two is like neither half enough
        if likeness[best] > 0.5:
            found.append(1000 * best / rate_hz)
    return found


def cuts(signal: np.ndarray, rate_hz: int) -> dict[str, float] | None:
    """Return how often and how long the pilot tone was gone, after the first 1.5 s of it; None where there
    was none.
    """
    n = np.arange(len(signal))
    low = butter(2, 80, "low", fs=rate_hz, output="sos")
    turned = signal * np.exp(-2j * np.pi * PILOT_HZ * n / rate_hz)
    level = np.abs(sosfiltfilt(low, turned.real) + 1j * sosfiltfilt(low, turned.imag))[:: rate_hz // 1000]
    there = np.nonzero(level > 0.015)[0]
    if len(there) < 3000:
        return None
    level = level[there[0] + 1500 : -500]
    edges = np.diff(np.r_[0, (level < 0.3 * np.median(level)).astype(int), 0])
    lengths = np.nonzero(edges == -1)[0] - np.nonzero(edges == 1)[0]
    lengths = lengths[lengths >= 4]
    return {"seconds": round(len(level) / 1000, 1), "cuts": len(lengths), "cut_ms": int(lengths.sum())}


def measure(seconds: float, delay_ms: float, jitter_ms: float) -> dict:
    """Start app, wire and browser; talk; return the figures."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        app = stack.enter_context(app_process(folder))
        url = app.url
        if delay_ms or jitter_ms:
            wire = LinkFaults(delay_ms / 2, jitter_ms / 2)
            port = int(app.url.rsplit(":", 1)[1])
            url = f"http://localhost:{stack.enter_context(faulty_proxy('127.0.0.1', port, wire))}"
        browser = stack.enter_context(chromium(write_microphone(folder / "probe.wav", probe())))
        visitor = browser.new_context(permissions=["microphone"])
        visitor.add_init_script(path=Path(__file__).with_suffix(".js"))
        page: Page = visitor.new_page()
        open_page(page, url)
        start_talk(page)
        page.wait_for_timeout(10_000)
        settled = page.evaluate(BUFFER)
        page.wait_for_timeout(max(0, seconds - 10) * 1000)
        last = page.evaluate(BUFFER)
        rate_hz, data = page.evaluate(COLLECT)
        both = np.frombuffer(base64.b64decode(data), np.float32).reshape(-1, 2, 128)
        mouth, ear = both[:, 0].ravel(), both[:, 1].ravel()
        visitor.close()
    found = latencies_ms(mouth, ear, int(rate_hz))
    half = len(found) // 2
    return {
        "seconds": seconds,
        "delay_ms": delay_ms,
        "jitter_ms": jitter_ms,
        "bursts": len(found),
        "total_ms": {
            "median": round(float(np.median(found)), 1),
            "p95": round(float(np.percentile(found, 95)), 1),
            "max": round(max(found), 1),
            "first_half": round(float(np.median(found[:half])), 1),
            "second_half": round(float(np.median(found[half:])), 1),
        },
        "without_framing_and_echo_ms": round(float(np.median(found)) - 2 * FRAME_MS, 1),
        "underruns": last["underruns"],
        "underruns_after_10_s": last["underruns"] - settled["underruns"],
        "trimmed_ms": last["trimmed_ms"],
        "played": cuts(ear, int(rate_hz)),
        "microphone": cuts(mouth, int(rate_hz)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--delay-ms", type=float, default=0, help="round trip added to all traffic")
    parser.add_argument(
        "--jitter-ms", type=float, default=0, help="how much that round trip varies, up and down"
    )
    parser.add_argument("--json", type=Path, help="write the figures and the machine here")
    args = parser.parse_args()
    result = {"result": measure(args.seconds, args.delay_ms, args.jitter_ms), "machine": machine()}
    print(json.dumps(result, indent=1))
    if args.json:
        args.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
