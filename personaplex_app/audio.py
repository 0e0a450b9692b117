"""Convert, check, cut and measure samples, and decode recordings within limits.

Pure functions and small classes: no files, no threads, no event loop.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import soundfile
import soxr

from .errors import BadAudio, shorten
from .foreign_files import other_than_sound
from .units import FRAME_SAMPLES, SAMPLE_RATE_HZ
from .wav_layout import WavLayout

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

RATES_HZ = (8_000, 192_000)
MAX_KEPT_RATE_HZ = 48_000
MAX_CHANNELS = 8
ACCEPTED_FORMATS = (
    ".wav",
    ".flac",
    ".ogg",
    ".opus",
    ".mp3",
    ".m4a",
    ".mp4",
    ".aac",
    ".webm",
    ".mka",
    ".mkv",
    ".aiff",
    ".aif",
    ".caf",
    ".au",
    ".amr",
    ".3gp",
)
"""Suffixes of recordings for pickers of files; `decode` believes the content and not the name."""
Note = Callable[[str], None]
"""Called with a sentence on what was done to a recording so that it could be used."""

_BLOCK_FRAMES = 1 << 16
_MOST_ZEROS = 4_096
# a channel this much weaker than the loudest one is silent: 40 dB
_SILENT_CHANNEL = 1e-4
# channels cancel each other when their mean has less than so much of the power of unrelated channels' mean
_CANCELLED = 0.25
_NOT_OF_LIBSNDFILE = ("mp4", "matroska", "aac", "amr")
_DEMUXERS = {
    b"\x1aE\xdf\xa3": "matroska",
    b"#!AMR": "amr",
    b"RIFF": "wav",
    b"RF64": "wav",
    b"BW64": "wav",
    b"FORM": "aiff",
    b".snd": "au",
    b"caff": "caf",
    b"OggS": "ogg",
    b"fLaC": "flac",
    b"ID3": "mp3",
    # ADTS with and without a checksum, MPEG-4 and MPEG-2
    b"\xff\xf0": "aac",
    b"\xff\xf1": "aac",
    b"\xff\xf8": "aac",
    b"\xff\xf9": "aac",
}
_PCM = ("u8", "s8", "s16le", "s16be", "s24le", "s24be", "s32le", "s32be", "f32le", "f32be", "f64le", "f64be")
_CODECS = (
    *("aac", "alac", "amrnb", "amrwb", "flac", "gsm", "gsm_ms", "mp3", "mp3float", "opus", "libopus"),
    *("speex", "libspeex", "vorbis", "adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "pcm_alaw", "pcm_mulaw"),
    *(f"pcm_{form}" for form in _PCM),
)
_DECODER_ERRORS = (soundfile.LibsndfileError, OSError, RuntimeError, ValueError, TypeError)


def float_to_pcm16(samples: np.ndarray) -> bytes:
    """Return little-endian int16 bytes of float32 samples, clipped to [-1, 1]."""
    # 32767, so that +1 does not overflow; reading divides by 32768: as libsndfile writes and reads
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def pcm16_to_float(data: bytes) -> np.ndarray:
    """Return little-endian int16 bytes as float32 samples in [-1, 1].

    Raises: BadAudio for an odd number of bytes.
    """
    if len(data) % 2:
        raise BadAudio(
            f"PCM audio must be whole 16-bit samples; this message has {len(data)} bytes, an odd number."
        )
    return np.frombuffer(data, "<i2").astype(np.float32) / 32768.0


def float32_to_samples(data: bytes) -> np.ndarray:
    """Return little-endian float32 bytes as samples, unchecked: they may be out of range or no numbers.

    Raises: BadAudio when the number of bytes is no multiple of 4.
    """
    if len(data) % 4:
        raise BadAudio(
            f"Float audio must be whole 32-bit samples; this message has {len(data)} bytes, which is no"
            " multiple of 4."
        )
    return np.frombuffer(data, "<f4").astype(np.float32)


def checked(samples: np.ndarray) -> np.ndarray:
    """Return `samples` as float32, clipped to [-1, 1].

    Raises: BadAudio when a sample is NaN or infinite.
    """
    if not np.isfinite(samples).all():
        raise BadAudio(
            "The audio holds values that are not numbers (NaN or infinite); send finite samples between -1"
            " and 1."
        )
    return np.clip(samples, -1.0, 1.0).astype(np.float32, copy=False)


class Reframer:
    """Cuts a stream of chunks of any size into frames of 1920 samples; it buffers less than one frame."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.float32)

    def push(self, samples: np.ndarray) -> list[np.ndarray]:
        """Add samples; return the frames that they complete.

        Shapes: each frame is float32 [1920].
        """
        joined = np.concatenate([self._rest, samples.astype(np.float32, copy=False)])
        whole = len(joined) // FRAME_SAMPLES * FRAME_SAMPLES
        # a view would keep the whole array in memory
        self._rest = joined[whole:].copy()
        return list(joined[:whole].reshape(-1, FRAME_SAMPLES))


def level_db(samples: np.ndarray) -> float:
    """Return the root-mean-square level in dB of full scale, -120 for silence."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(-120.0, 10.0 * np.log10(power + 1e-12))


def peaks(samples: np.ndarray, per_s: int, sample_rate_hz: int) -> np.ndarray:
    """Return the largest magnitude in each 1/per_s second, for drawing.

    Shapes: `samples` is float32 [N]; the result is float32 [ceil(N·per_s/rate)].
    """
    width = sample_rate_hz // per_s
    padded = np.pad(np.abs(samples), (0, -len(samples) % width))
    return (
        padded.reshape(-1, width).max(axis=1).astype(np.float32) if len(padded) else np.zeros(0, np.float32)
    )


@dataclass(frozen=True)
class Recording:
    """The sound of a file, mixed down. `channels` is 1 where all of the file's channels are the same.

    Shapes: `samples` is float32 [N] in [-1, 1].
    """

    samples: np.ndarray
    rate_hz: int
    channels: int


def decode(
    recording: bytes | BinaryIO,
    limit_s: float,
    note: Note = lambda text: None,
    what: str = "The recording",
) -> np.ndarray:
    """Return the samples of a recording at 24 kHz; see `read_recording`.

    Shapes: the result is float32 [N] in [-1, 1].
    """
    return read_recording(recording, limit_s, note, what).samples


def read_recording(
    recording: bytes | BinaryIO,
    limit_s: float,
    note: Note = lambda text: None,
    what: str = "The recording",
    keep_rate: bool = False,
) -> Recording:
    """Decode a recording in any of the `ACCEPTED_FORMATS`, whatever its name says, and mix it down.

    The result is the mean of the channels that hold sound, or the loudest channel where they cancel each
    other; what was done is told to `note`. `what` names the recording in messages. It is resampled to 24 kHz,
    or with `keep_rate` to no more than 48 kHz.
    Raises: BadAudio when it has none of these formats, is empty, longer than `limit_s` seconds, has a rate
    or a number of channels that is not read, or holds samples that are no numbers.
    """
    file = io.BytesIO(recording) if isinstance(recording, bytes) else recording
    try:
        read = _reader_of(file, what, note)
        mixdown = _Mixdown(limit_s, what, keep_rate)
        faults: list[Exception] = []
        sound = mixdown.mixed(_up_to_a_fault(read(), faults))
        if faults:
            read_s = len(sound) / mixdown.to_hz
            note(f"{what} is damaged or cut off after {read_s:.0f} s; it was read up to there.")
        if (weights := mixdown.better_weights(note)) is not None:
            sound = mixdown.mixed(_up_to_a_fault(read(), faults), weights)
    except _DECODER_ERRORS as error:
        file.seek(0)
        found = other_than_sound(file.read(64)) or "cannot be read as a recording"
        raise BadAudio(f"{what} {found}; give a wav, flac, ogg, mp3, m4a or webm file.") from error
    return Recording(sound, mixdown.to_hz, 1 if mixdown.same else mixdown.channels)


Blocks = Iterator[tuple[int, np.ndarray]]
"""A recording piece by piece: sample rate, and float32 [N, channels]."""


def _up_to_a_fault(blocks: Blocks, faults: list[Exception]) -> Blocks:
    """Yield the blocks before the first that cannot be decoded, and note its error, unless there are none."""
    any_read = False
    try:
        for rate_hz, block in blocks:
            any_read = True
            yield rate_hz, block
    except _DECODER_ERRORS as error:
        if not any_read or isinstance(error, BadAudio):
            raise
        faults.append(error)


class _Mixdown:
    """Makes one channel of blocks, and measures how the channels go together."""

    def __init__(self, limit_s: float, what: str, keep_rate: bool) -> None:
        self._limit_s = limit_s
        self._what = what
        self._keep_rate = keep_rate
        self.to_hz = SAMPLE_RATE_HZ
        self.channels = 0
        self.same = True

    def mixed(self, blocks: Blocks, weights: np.ndarray | None = None) -> np.ndarray:
        """Return the sum of the channels, by default their mean.

        Shapes: `weights` is float32 [channels]; the result is float32 [N] at `to_hz`.
        """
        frames = 0
        mixed: list[np.ndarray] = []
        resampler = None
        for rate_hz, block in blocks:
            if not frames:
                self.channels = block.shape[1]
                self._sum = np.zeros(self.channels)
                self._products = np.zeros((self.channels, self.channels))
                if weights is None:
                    weights = np.full(self.channels, 1 / self.channels, np.float32)
                self.to_hz = min(rate_hz, MAX_KEPT_RATE_HZ) if self._keep_rate else SAMPLE_RATE_HZ
                if rate_hz != self.to_hz:
                    resampler = soxr.ResampleStream(rate_hz, self.to_hz, 1, dtype="float32")
            frames += len(block)
            if frames > self._limit_s * rate_hz:
                raise too_long(self._what, self._limit_s)
            if not np.isfinite(block).all():
                raise BadAudio(
                    f"{self._what} holds values that are not numbers (NaN or infinite); save it again."
                )
            self._measure(block)
            mono = np.clip(block @ weights, -1.0, 1.0)
            mixed.append(resampler.resample_chunk(mono) if resampler else mono)
        if not frames:
            raise BadAudio(f"{self._what} holds no sound; record or choose another.")
        self._frames = frames
        if resampler:
            mixed.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        return np.clip(np.concatenate(mixed), -1.0, 1.0)

    def _measure(self, block: np.ndarray) -> None:
        if self.channels == 1:
            return
        self.same = self.same and bool((block == block[:, :1]).all())
        exact = block.astype(np.float64)
        self._sum += exact.sum(axis=0)
        self._products += exact.T @ exact

    def better_weights(self, note: Note) -> np.ndarray | None:
        """Return other weights than the mean's where the mean would lose sound, and tell `note`."""
        if self.channels == 1 or self.same:
            return None
        mean = self._sum / self._frames
        covariance = self._products / self._frames - np.outer(mean, mean)
        powers = np.diag(covariance)
        # a channel that is silent beside the others is no voice; their mean must not be softer for it
        audible = powers > max(powers.max() * _SILENT_CHANNEL, 1e-12)
        if not audible.any():
            return None
        weights = audible / audible.sum()
        # channels that have nothing to do with each other would give so much
        expected = float(weights**2 @ powers)
        if weights @ covariance @ weights < _CANCELLED * expected:
            loudest = int(powers.argmax())
            note(
                f"{self._what} has channels that cancel each other; the loudest one,"
                f" {loudest + 1}, was taken."
            )
            return np.eye(self.channels, dtype=np.float32)[loudest]
        if audible.all():
            return None
        silent = ", ".join(str(k + 1) for k in np.flatnonzero(~audible))
        note(f"{self._what} has silence in channel {silent} of {self.channels}; the rest was taken.")
        return weights.astype(np.float32)


def too_long(what: str, limit_s: float) -> BadAudio:
    """Return the error for a recording that is longer than a limit."""
    return BadAudio(f"{what} is longer than {limit_s:.0f} s, which is the limit; cut it and try again.")


def _check_form(what: str, rate_hz: int, channels: int) -> None:
    if not (RATES_HZ[0] <= rate_hz <= RATES_HZ[1] and 1 <= channels <= MAX_CHANNELS):
        raise BadAudio(
            f"{what} has {channels} channel{'s' * (channels != 1)} at {rate_hz:,} Hz; give 1 to"
            f" {MAX_CHANNELS} channels at {RATES_HZ[0]:,} to {RATES_HZ[1]:,} Hz."
        )


def _reader_of(file: BinaryIO, what: str, note: Note) -> Callable[[], Blocks]:
    """Return a function that reads a file from its beginning, by the decoder that its content needs."""
    demuxer = _demuxer_of(file)
    if demuxer in _NOT_OF_LIBSNDFILE:
        return partial(_ffmpeg_blocks, file, what, demuxer)
    if demuxer == "wav":
        layout = WavLayout.of(file)
        if layout.unfinished:
            note(f"{what} has a header that was never finished; it was read to its end.")
            return partial(_ffmpeg_blocks, file, what, demuxer, ignore_length="1")
        if layout.scattered:
            if len(layout.parts) > 1:
                note(f"{what} has its sound in {len(layout.parts)} parts; they were joined.")
            file = io.BytesIO(layout.joined(file, what))
    try:
        found = next(_libsndfile_blocks(file, what), None) is not None
        # the lengths in other headers may be unfinished too, and libsndfile then finds nothing
        use_libsndfile = found or demuxer == "wav"
    except _DECODER_ERRORS:
        use_libsndfile = False
    if use_libsndfile or demuxer is None:
        return partial(_libsndfile_blocks, file, what)
    return partial(_ffmpeg_blocks, file, what, demuxer)


def _demuxer_of(file: BinaryIO) -> str | None:
    """Return FFmpeg's demultiplexer for a file's content, None for what is no recording.

    FFmpeg must not choose it: its playlist formats would open addresses that the file names.
    """
    # by their magic numbers: MP4's box, EBML for webm, and the sync words of AAC
    file.seek(0)
    head = file.read(12)
    if head[4:8] == b"ftyp":
        return "mp4"
    if head.startswith(b"ID3") and len(head) > 9:
        # a tag, whose length has seven bits a byte, stands before MP3 and AAC alike
        file.seek(
            10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
        )
        return _DEMUXERS.get(file.read(2), "mp3")
    if head[:1] == b"\0":
        # some editors begin MP3 with zeros
        head = (head + file.read(_MOST_ZEROS)).lstrip(b"\0")[:12]
        return "mp3" if head[:1] == b"\xff" and head[1:2] >= b"\xf2" else None
    for magic, demuxer in _DEMUXERS.items():
        if head.startswith(magic):
            return demuxer
    return "mp3" if head[:1] == b"\xff" and head[1:2] >= b"\xe0" else None


def _libsndfile_blocks(file: BinaryIO, what: str) -> Blocks:
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        _check_form(what, sound.samplerate, sound.channels)
        # a header may claim any length: only what was read counts
        while len(block := sound.read(_BLOCK_FRAMES, dtype="float32", always_2d=True)):
            yield sound.samplerate, block


def _ffmpeg_blocks(file: BinaryIO, what: str, demuxer: str, **options: str) -> Blocks:
    """Decode with FFmpeg, by one demultiplexer and the codecs of sound that people record with."""
    import av  # comes with the recogniser; only these files need it
    import av.error

    file.seek(0)
    try:
        with av.open(
            file, format=demuxer, options={"codec_whitelist": ",".join(_CODECS), **options}
        ) as container:
            if not container.streams.audio:
                raise BadAudio(f"{what} has no sound in it; record or choose another.")
            stream = container.streams.audio[0]
            codec = stream.codec_context
            # PyAV gives no codec where FFmpeg knows none
            coded = codec.name if codec else "something unknown"
            if coded not in _CODECS:
                raise BadAudio(f"{what} is coded as {shorten(coded)}, which is not read; save it as wav.")
            _check_form(what, codec.sample_rate, codec.channels)
            first = None
            for frame in container.decode(stream):
                form = frame.sample_rate, frame.layout.nb_channels
                # what the container said may be half of what the codec gives, as with HE-AAC
                _check_form(what, *form)
                first = first or form
                if form != first:
                    raise BadAudio(f"{what} changes its sample rate or channels on the way; save it as wav.")
                yield from ((frame.sample_rate, block) for block in _frame_blocks(frame))
    except av.error.FFmpegError as error:
        raise ValueError("FFmpeg cannot read it") from error


def _frame_blocks(frame: AudioFrame) -> Iterator[np.ndarray]:
    """Return a decoded frame as float32 [N, channels]: one frame of raw samples may be the whole file."""
    raw = frame.to_ndarray()
    values = raw.T if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels)
    for at in range(0, len(values), _BLOCK_FRAMES):
        block = values[at : at + _BLOCK_FRAMES].astype(np.float32)
        if raw.dtype == np.uint8:
            block = block / 128 - 1
        elif raw.dtype.kind == "i":
            block = block / np.float32(2 ** (8 * raw.dtype.itemsize - 1))
        yield block


def at_loudness(samples: np.ndarray, loudness_lufs: float) -> np.ndarray:
    """Return samples scaled to an integrated loudness (ITU-R BS.1770).

    Shapes: float32 [N] at 24 kHz.
    Raises: BadAudio when they are silent.
    """
    import pyloudnorm  # only engines that clone need it, and it brings scipy

    found_lufs = pyloudnorm.Meter(SAMPLE_RATE_HZ).integrated_loudness(samples.astype(np.float64))
    if not np.isfinite(found_lufs):
        raise BadAudio("The voice recording is silent; record a few seconds of speech.")
    # computed in float64 and rounded once, as the reference does
    return (samples * np.float64(10.0 ** ((loudness_lufs - found_lufs) / 20.0))).astype(np.float32)
