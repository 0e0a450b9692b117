"""What ZeroGPU's refusals mean for a visitor: the API's answers, through the real package, to our
sentences.
"""

import gc
from types import SimpleNamespace

import pytest

from personaplex_app.engine.zero_gpu import ZeroGpu
from personaplex_app.errors import GpuUnavailable

from .support.zero_gpu import ip_token, zero_gpu_api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:Error while reading infos", "ignore:ZeroGPU. Cannot get Gradio"),
    # the package leaves its connections to the API open
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class Headers(dict):
    """Headers as Gradio's request has them: with attributes."""


@pytest.fixture(scope="module", autouse=True)
def _gradio():
    """Import Gradio, as the app does, only where these tests run: it takes seconds."""
    import personaplex_app.ui  # noqa: F401

    yield
    gc.collect()  # while what the package leaves open is forgiven


def refusal(monkeypatch, answer: str, token: str = "") -> Exception:
    """Ask the package for a GPU, and return what it raises."""
    import gradio
    from spaces.config import Config
    from spaces.zero import client

    request = SimpleNamespace(
        headers=Headers({"x-ip-token": token} if token else {}, **{"x-gradio-user": "app"})
    )
    with zero_gpu_api() as api:
        api.answer = answer
        monkeypatch.setattr(Config, "zero_device_api_url", api.url)
        with pytest.raises((gradio.Error, RuntimeError)) as raised:
            client.schedule(task_id=1, request=request)  # type: ignore[arg-type]
    return raised.value


@pytest.mark.parametrize(
    ("answer", "token", "sentence"),
    [
        (
            "over-quota",
            ip_token(),
            "You have 12 s of GPU time left, and this needs 60 s. Come back in 1 h 24 min.",
        ),
        (
            "over-quota-days",
            ip_token(),
            "You have 0 s of GPU time left, and this needs 60 s. Come back in 25 h 1 min.",
        ),
        (
            "over-quota",
            "",
            "The GPU time of this Space is used up for now. Come back later, or sign in to the Hub.",
        ),
        (
            "runs",
            ip_token(),
            (
                "You have used the GPU as often as you may for now. Come back later, or sign in to the Hub"
                " for more."
            ),
        ),
        (
            "pending",
            ip_token(),
            "Too much of your GPU time is taken by tasks that still run. Come back when one has ended.",
        ),
        (
            "illegal-duration",
            ip_token(),
            "So long a talk on the GPU is not allowed for you. Choose a shorter one.",
        ),
        ("busy", ip_token(), "No GPU is free: none became so within a minute. Come back in a few minutes."),
        (
            "queue-failed",
            ip_token(),
            "No GPU is free: none became so within a minute. Come back in a few minutes.",
        ),
        (
            "expired",
            ip_token(),
            "This page has been open too long for the GPU. Load it again, and start once more.",
        ),
        (
            "broken",
            ip_token(),
            "No GPU was granted ('ZeroGPU API /schedule error: 500'). Try again in a few minutes.",
        ),
    ],
)
def test_zero_gpu_refusal_is_a_sentence_with_the_way_on(monkeypatch, answer, token, sentence):
    told = ZeroGpu().explain(refusal(monkeypatch, answer, token))
    assert isinstance(told, GpuUnavailable)
    assert str(told).replace(" (Internal Server Error)", "") == sentence


def test_zero_gpu_worker_error_is_no_lack_of_gpus():
    from spaces.zero.gradio import error

    told = ZeroGpu().explain(error("ZeroGPU worker error", "GPU task aborted"))
    assert not isinstance(told, GpuUnavailable)
    assert str(told) == "The GPU's worker stopped ('GPU task aborted'). Start again."
