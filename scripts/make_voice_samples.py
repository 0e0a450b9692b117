"""Write how the embedded engine's voices sound, so that no start waits until they have spoken."""

import soundfile

from personaplex_app.speech.synthesiser import (
    SAMPLE_TEXT,
    SAMPLES_FOLDER,
    TIMBRES,
    Synthesiser,
)
from personaplex_app.units import SAMPLE_RATE_HZ

synthesiser = Synthesiser()
SAMPLES_FOLDER.mkdir(exist_ok=True)
for timbre in TIMBRES:
    path = SAMPLES_FOLDER / f"{timbre.voice.name}.flac"
    soundfile.write(path, synthesiser.speak(SAMPLE_TEXT, timbre).samples, SAMPLE_RATE_HZ)
