"""The agent's sound on its way to a client: coded for the connection that there is."""

from __future__ import annotations

import numpy as np

from ..codec import Codec
from ..protocol_events import Audio, Frame, ToClient
from ..sessions.talk_runner import TalkRunner


class AgentSound:
    """Codes what a talk's steps bring. A connection that continues a talk hears nothing from before it.

    `codec` is the present connection's, both ways.
    """

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self._unheard_frames = 0

    def renew(self, codec: Codec, unheard_frames: int) -> None:
        """Go on over another connection, which does not hear the talk's first `unheard_frames`."""
        self.codec = codec
        self._unheard_frames = unheard_frames

    def feed(self, talk: TalkRunner, samples: np.ndarray, codec: Codec) -> list[ToClient]:
        """In a worker: step the talk; return what the client is told, sound in the form `codec` gives it.

        Raises: BadAudio, EngineError.
        """
        number = talk.frames
        told: list[ToClient] = []
        for event in talk.feed(samples):
            if not isinstance(event, Frame):
                told.append(event)
                continue
            number += 1
            # a codec may wait for more sound before a piece becomes whole
            if number > self._unheard_frames and (payload := codec.encode(event.agent)):
                told.append(Audio(payload))
        return told
