"""Send a recorded question over the gateway's protocol and save the answer.

    python examples/gateway_client.py ws://localhost:7860 question.wav answer.wav [ADAPTER]

The recording must be 24 kHz mono. Needs numpy, soundfile and websockets. GATEWAY_API_KEY is the key for an
adapter that requires one.
"""

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
from websockets.exceptions import ConnectionClosed

RATE_HZ = 24_000
CHUNK_SAMPLES = 2_400  # 100 ms
LISTEN_S = 8.0  # to the answer, after the question


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
    samples, rate_hz = sf.read(question, dtype="float32")
    assert (rate_hz, samples.ndim) == (RATE_HZ, 1), "give a 24 kHz mono recording"
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


if __name__ == "__main__":
    asyncio.run(ask(*sys.argv[1:]))
