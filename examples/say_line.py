"""Let an agent say a sentence of yours word for word, and save how it sounds.

    python examples/say_line.py ws://localhost:7860 "Your order costs $8." said.wav [PERSONA]

Needs numpy, soundfile and websockets. PERSONAPLEX_API_KEY is the key for a server that asks for one. What
happens to the line is printed: when it began, what was heard of it, and why where it was refused.
"""

import argparse
import json
import os
import time
from urllib.parse import urlencode

import numpy as np
import soundfile as sf
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI
from websockets.sync.client import connect

RATE_HZ = 24_000
FRAME_S = 0.08
AUDIO, METADATA, ERROR = 1, 4, 5
SILENCE = bytes([AUDIO]) + bytes(2 * round(RATE_HZ * FRAME_S))


def say(url, text, persona):
    """Hold a talk over silence until the line is over; return the agent's sound, int16 [N] at 24 kHz."""
    query = urlencode({"codec": "pcm", "events": "1", "persona": persona})
    key = os.environ.get("PERSONAPLEX_API_KEY")
    headers = {"X-API-Key": key} if key else {}
    agent, over = bytearray(), False
    with connect(f"{url.rstrip('/')}/api/chat?{query}", additional_headers=headers) as socket:
        while socket.recv()[0]:  # kind 0: the talk begins
            pass
        # nothing of its own, so that only the line is heard
        for order in ({"type": "hold", "on": True}, {"type": "say", "id": "line", "text": text}):
            socket.send(bytes([METADATA]) + json.dumps(order).encode())
        while not over:
            socket.send(SILENCE)
            time.sleep(FRAME_S)
            for message in received(socket):
                if message[0] == AUDIO:
                    agent += message[1:]
                elif message[0] == ERROR:
                    raise SystemExit(message[1:].decode())
                elif message[0] == METADATA:
                    over = tell(json.loads(message[1:])) or over
    return np.frombuffer(agent, np.int16)


def received(socket):
    """Yield what has come by now."""
    while True:
        try:
            yield socket.recv(timeout=0)
        except TimeoutError:
            return


def tell(event):
    """Print how the line fares; return whether it is over."""
    if event["type"] == "notice" and event["code"] == "order_refused":
        raise SystemExit(event["text"])
    if event["type"] != "said":
        return False
    if event["state"] == "refused":
        raise SystemExit(event["why"])
    print(f"{event['at_s']:5.1f} s  {event['state']}: {event['heard']}", flush=True)
    return event["state"] in ("done", "cut")


def main():
    """Read the command line, have the line said, and end by a sentence where that fails."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("url", help="address of the app, such as ws://localhost:7860")
    parser.add_argument("text", help="what the agent is to say, at most 1,200 characters")
    parser.add_argument("wav", help="where to save how it sounds")
    parser.add_argument("persona", nargs="?", default="assistant", help="role to talk with")
    asked = parser.parse_args()
    try:
        sf.write(asked.wav, say(asked.url, asked.text, asked.persona), RATE_HZ)
    except InvalidURI:
        raise SystemExit(f"{asked.url} is no address; it must begin with ws:// or wss://.") from None
    except ConnectionClosed as error:
        raise SystemExit(f"The talk ended before the line was over: {error}.") from None
    except (OSError, InvalidHandshake) as error:
        raise SystemExit(
            f"{asked.url} does not answer as the app does ({error}); is it running there?"
        ) from None


if __name__ == "__main__":
    main()
