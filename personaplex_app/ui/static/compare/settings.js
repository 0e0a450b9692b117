// The settings of the sampling that can be compared.

/** What each is called. */
export const SETTINGS = {
  audio_temperature: "Audio temperature",
  text_temperature: "Text temperature",
  audio_topk: "Audio top-k",
  text_topk: "Text top-k",
};

/** The numbers in a text field. */
export function numbersIn(field) {
  return field.value
    .split(/[\s,;]+/)
    .filter(Boolean)
    .map(Number);
}
