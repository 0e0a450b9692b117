"""Weight files are found in their packages and are the ones that were measured."""

import hashlib
from dataclasses import replace

import pytest

from personaplex_app.errors import WeightsError
from personaplex_app.speech import weights

pytestmark = pytest.mark.unit


def test_weights_as_packaged_pass_the_check():
    assert weights.VAD.verified().name == "silero_vad_v6.onnx"


def test_weights_other_content_names_file_expected_and_found(tmp_path):
    path = tmp_path / "model.bin"
    path.write_bytes(b"not the weights")
    with pytest.raises(WeightsError) as caught:
        weights.verified(path, weights.VAD.sha256, "run: pip install it again")
    message = str(caught.value)
    assert str(path) in message
    assert weights.VAD.sha256[:16] in message
    assert hashlib.sha256(b"not the weights").hexdigest()[:16] in message
    assert "pip install" in message


def test_weights_missing_file_names_file_and_remedy():
    with pytest.raises(
        WeightsError,
        match=r"gone\.onnx cannot be read.*pip install --force-reinstall faster-whisper==1\.2\.1",
    ):
        replace(weights.VAD, path="assets/gone.onnx").verified()


def test_weights_missing_package_says_what_to_install():
    with pytest.raises(WeightsError, match="package some-weights, which is not installed; run: pip install"):
        replace(weights.VAD, package="no_such_package_here", distribution="some-weights").verified()
