"""The model against what the reference generator did on the tiny checkpoint."""

import numpy as np
import pytest
import torch

from personaplex_app.model.generation import GREEDY, Rows

from .support import tiny

STORED = [name for name in tiny.CASES if not (tiny.case(name)[0]["voice"] or "").endswith(".wav")]


def prompt_of(name: str):
    about, _ = tiny.case(name)
    return tiny.prompt((about["voice"] or "").removesuffix(".pt") or None, about["text_prompt"])


@pytest.mark.slow
@pytest.mark.parametrize("name", STORED)
def test_rows_golden_case_gives_the_reference_tokens(name):
    about, arrays = tiny.case(name)
    prompt = prompt_of(name)
    assert tiny.checkpoint().tokenizer.prompt_tokens(about["text_prompt"]) == about["prompt_tokens"]
    assert prompt.positions + 1 == about["prompt_steps"]
    frames = np.array(tiny.talk(prompt, GREEDY, tiny.user_codes()))
    assert np.array_equal(frames, arrays["rows"][:, :9])
    assert [tiny.checkpoint().tokenizer.piece(token) for token in frames[:, 0]] == about["text"]


def test_rows_golden_logits_agree():
    _, arrays = tiny.case("voice_and_text")
    rows = Rows(tiny.checkpoint().lm, 1)
    rows.prefill(0, prompt_of("voice_and_text"))
    for t in range(4):
        step = rows.step(tiny.user_codes()[None, :, t], tiny.ONE, [0])
        assert np.abs(step.text_logits[0].numpy() - arrays["text_logits"][t]).max() < 1e-3
        assert np.abs(torch.cat(step.audio_logits).numpy() - arrays["audio_logits"][t, :8]).max() < 1e-2


@pytest.mark.parametrize("frames_at_once", [1, 77])
def test_mimi_golden_codes_and_sound_agree(frames_at_once):
    mimi = tiny.checkpoint().mimi
    with np.load(tiny.GOLDEN / "mimi_golden.npz") as golden:
        codes, pcm = golden["codes"], golden["pcm"]
    encoder, decoder = mimi.empty_encoder_state(1), mimi.empty_decoder_state(1)
    wav = torch.tensor(tiny.user_wav())[None]
    with torch.inference_mode():
        parts = wav.split(1920 * frames_at_once, dim=1)
        encoded = torch.cat([mimi.encode(part, encoder, tiny.ONE) for part in parts], dim=2)
        parts = encoded.split(frames_at_once, dim=2)
        decoded = torch.cat([mimi.decode(part, decoder, tiny.ONE) for part in parts], dim=1)
    assert np.array_equal(encoded[0].numpy(), codes)
    assert np.abs(decoded[0].numpy() - pcm).max() < 1e-4


def test_mimi_rows_that_idle_keep_their_streams():
    mimi = tiny.checkpoint().mimi
    wav = torch.tensor(tiny.user_wav()).view(-1, 1920)
    whole = tiny.user_codes()
    encoder, decoder = mimi.empty_encoder_state(2), mimi.empty_decoder_state(2)
    alone = mimi.empty_decoder_state(1)
    seen = [0, 0]
    with torch.inference_mode():
        for t in range(40):
            active = torch.tensor([t % 3 != 0, t % 2 == 0])
            if t == 20:
                for state in (encoder, decoder):
                    state.reset(1)
                seen[1] = 0
            codes = mimi.encode(torch.stack([wav[seen[0]], wav[seen[1]]]), encoder, active)
            pcm = mimi.decode(codes, decoder, active)
            for row in (0, 1):
                if active[row]:
                    assert torch.equal(codes[row, :, 0], whole[:, seen[row]])
                    seen[row] += 1
            if active[0]:
                expected = mimi.decode(codes[:1], alone, tiny.ONE)
                assert (pcm[0] - expected[0]).abs().max() < 1e-5
