// The one sound format between page and server: mono, 24 kHz, int16, in frames of 80 ms.

export const SAMPLE_RATE_HZ = 24000;
export const FRAME_SAMPLES = 1920;
export const FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ;
/** Points of an envelope in a second; each is the peak of 20 ms. */
export const PEAKS_PER_S = 50;
export const PEAK_SAMPLES = SAMPLE_RATE_HZ / PEAKS_PER_S;
