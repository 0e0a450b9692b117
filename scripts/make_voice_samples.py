"""Write how the men's voices sound, for the page to play before any of them is loaded."""

import soundfile

from personaplex_app.speech.synthesiser import (
    ALWAYS_THERE,
    SAMPLE_TEXT,
    SAMPLES_FOLDER,
    TIMBRES,
    Synthesiser,
)
from personaplex_app.units import SAMPLE_RATE_HZ

synthesiser = Synthesiser()
SAMPLES_FOLDER.mkdir(exist_ok=True)
for timbre in TIMBRES:
    if timbre not in ALWAYS_THERE:
        path = SAMPLES_FOLDER / f"{timbre.voice.name}.flac"
        soundfile.write(path, synthesiser.speak(SAMPLE_TEXT, timbre).samples, SAMPLE_RATE_HZ)
