"""Talk with PersonaPlex-7B, compare its voices, and measure it."""

import os

__version__ = "0.1.0"

# Nothing here tells anybody of its use. The packages that would read these variables when they are imported,
# so that they are set before any of them is: here, whichever way the program is entered.
os.environ.update(
    # since 1.29 ONNX Runtime makes an identifier in the home folder and sends events to its makers
    ORT_DISABLE_TELEMETRY="1",
    # Gradio's events, and its look at the newest version
    GRADIO_ANALYTICS_ENABLED="False",
    HF_HUB_DISABLE_TELEMETRY="1",
    # a general wish, which the Hub's client and others follow
    DO_NOT_TRACK="1",
)
