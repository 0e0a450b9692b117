"""Send a recorded question over the gateway's protocol and save the answer.

    python examples/gateway_client.py ws://localhost:7860 question.wav answer.wav [ADAPTER]

The recording must be 24 kHz mono. Needs numpy, soundfile and websockets. GATEWAY_API_KEY is the key for an
adapter that requires one.
"""

import argparse
import asyncio
import base64
import json
import os
import sys
from contextlib import suppress
from urllib.parse import urlencode

import numpy as np
import soundfile as sf
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

RATE_HZ = 24_000
CHUNK_SAMPLES = 2_400  # 100 ms
LISTEN_S = 8.0  # to the answer, after the question


def read(path):
    """Return a recording's samples. Raises: SystemExit with a sentence when it cannot be sent."""
    try:
        samples, rate_hz = sf.read(path, dtype="float32")
    except (OSError, sf.LibsndfileError) as error:
        raise SystemExit(f"{path} cannot be read ({error}); give a wav or flac file.") from None
    if (rate_hz, samples.ndim) != (RATE_HZ, 1):
        channels = samples.shape[1] if samples.ndim > 1 else 1
        raise SystemExit(
            f"{path} has {rate_hz} Hz and {channels} channels; give a recording of {RATE_HZ} Hz mono."
        )
    return samples


async def say(socket, samples):
    """Send a recording in real time: the server accepts at most two seconds in advance."""
    clock = asyncio.get_running_loop()
    began_s = clock.time()
    for at in range(0, len(samples), CHUNK_SAMPLES):
        data = base64.b64encode(samples[at : at + CHUNK_SAMPLES].astype("<f4").tobytes()).decode()
        await socket.send(json.dumps({"type": "audio_chunk", "data": data, "format": "pcm"}))
        await asyncio.sleep(max(0.0, began_s + at / RATE_HZ - clock.time()))
    await socket.send(json.dumps({"type": "end"}))


async def messages_of(socket):
    """Yield the server's messages until the connection closes."""
    with suppress(ConnectionClosed):
        while True:
            yield await socket.recv()


async def ask(url, question, answer, adapter="personaplex-assistant"):
    """Hold a talk that plays the file `question`, and write the agent's sound to the file `answer`."""
    samples = read(question)
    # silence after the question, for as long as the answer may take
    samples = np.concatenate([samples, np.zeros(int(LISTEN_S * RATE_HZ), np.float32)])
    query = urlencode({"session_id": "example", "api_key": os.environ.get("GATEWAY_API_KEY", "")})
    received, speaking = [], None
    async with connect(f"{url}/ws/voice/{adapter}?{query}") as socket:
        async for text in messages_of(socket):
            message = json.loads(text)
            match message["type"]:
                case "connected":
                    print(
                        f"connected to {message['adapter']} as {message['session_id']}:"
                        f" {message['capabilities']}",
                        flush=True,
                    )
                    speaking = asyncio.create_task(say(socket, samples))
                case "audio_chunk":
                    received.append(np.frombuffer(base64.b64decode(message["data"]), "<f4"))
                case "transcription" if not message["partial"]:
                    print(f"{message['role']}: {message['text']}", flush=True)
                case "error":
                    print(f"error: {message['message']}", file=sys.stderr, flush=True)
        print(f"closed: {socket.close_code} {socket.close_reason}")
    if speaking:
        with suppress(ConnectionClosed):  # the server ended it first
            await speaking
    sf.write(answer, np.concatenate(received or [np.zeros(0, np.float32)]), RATE_HZ)


def main():
    """Read the command line, ask, and end by a sentence where that fails."""
    parser = argparse.ArgumentParser(
        description="Send a recorded question over the gateway's protocol and save the answer.",
        epilog="GATEWAY_API_KEY is the key for an adapter that requires one.",
    )
    parser.add_argument("url", help="the app's address, such as ws://localhost:7860")
    parser.add_argument("question", help="a recording, 24 kHz mono")
    parser.add_argument("answer", help="the file that the agent's sound is written to, such as answer.wav")
    parser.add_argument("adapter", nargs="?", default="personaplex-assistant", help="default: %(default)s")
    given = parser.parse_args()
    try:
        asyncio.run(ask(given.url, given.question, given.answer, given.adapter))
    except InvalidURI:
        raise SystemExit(f"{given.url} is no address; it must begin with ws:// or wss://.") from None
    except (OSError, InvalidHandshake) as error:
        raise SystemExit(
            f"{given.url} does not answer as the app does ({error}); is it running there?"
        ) from None


if __name__ == "__main__":
    main()
