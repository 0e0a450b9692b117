"""Turn Spanish letters into sounds, in the alphabet that the voices were trained on.

Spanish is written as it is spoken, so that rules are enough: which letters sound how, which vowels belong to
one syllable, and which syllable is stressed. c before e and z sound as s, as most speakers say them.
"""

from __future__ import annotations

import re


def _words(text: str) -> list[str]:
    return text.split()


_STRONG = "aeoáéó"
_ACCENTED = "áéíóú"
_FRONT = "eiéí"
_VOWELS = "aeiouáéíóúü"
_PLAIN = str.maketrans("áéíóúü", "aeiouu")
# said without a stress of their own
_UNSTRESSED = frozenset(
    _words("""
    a al con de del e el en la las le les lo los me mi mis nos o os para pero por que se si sin su sus
    te tu tus u un una unos unas y ni como cuando donde
""")
)
_NUCLEUS = re.compile(r"[iuü]?[aeoáéó](?:[iuü](?![aeoáéóíú]))?|[íú]|[iuü]{1,2}")
# what a consonant or a pair of them sounds like, the longest first; c, g, q, r, x and y depend on their place
_SPELLINGS = {
    "ch": "ʧ", "ll": "ʝ", "rr": "r", "sh": "ʃ", "ph": "f", "th": "t", "b": "b", "ç": "s", "d": "d", "f": "f",
    "h": "", "j": "x", "k": "k", "l": "l", "m": "m", "n": "n", "ñ": "ɲ", "p": "p", "s": "s", "t": "t",
    "v": "b", "w": "w", "z": "s",
}  # fmt: skip
_BETWEEN_VOWELS = re.compile(r"(?<=[aeiouwjɾl])([bdɡ])(?=ˈ?[aeiouwjɾl])")
_SOFT = {"b": "β", "d": "ð", "ɡ": "ɣ"}
# names whose x is a j
_X_AS_J = re.compile(r"(?<=^m[eé])x(?=ic)|(?<=^oa)x(?=ac)|(?<=^te)x(?=a[ns])")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
# what is no pause in the alphabet of the voices, and what is another one
_MARKS = str.maketrans({"¿": "", "¡": "", "«": "", "»": "", "–": "—", "\n": " ", "(": ",", ")": ","})
_LETTER_NAMES = {
    "b": "be", "c": "ce", "d": "de", "f": "efe", "g": "ge", "h": "hache", "j": "jota", "k": "ka",
    "l": "ele", "m": "eme", "n": "ene", "ñ": "eñe", "p": "pe", "q": "cu", "r": "erre", "s": "ese", "t": "te",
    "v": "uve", "w": "uve doble", "x": "equis", "z": "zeta",
}  # fmt: skip


def phonemes(text: str) -> str:
    """Return the sounds of a text whose figures are spelt out, with its marks, words parted by spaces."""
    sounds = _WORD.sub(lambda match: word_phonemes(match[0]), text.translate(_MARKS))
    return re.sub(r"\s+", " ", sounds).strip()


def word_phonemes(word: str) -> str:
    """Return the sounds of one word, with a mark before the vowel of its stressed syllable."""
    plain = word.lower().replace("’", "").replace("'", "")
    spelt = plain in _LETTER_NAMES or (len(word) > 1 and word.isupper() and not set(plain) & set(_VOWELS))
    if spelt:
        names = (_LETTER_NAMES.get(letter, letter).split() for letter in plain)
        return " ".join(_sounds(part) for name in names for part in name)
    return _sounds(plain)


def _sounds(word: str) -> str:
    word = _X_AS_J.sub("j", word)
    # at the end of a word, y is a vowel
    vowels = f"{word[:-1]}i" if word.endswith("y") else word
    silent = {match.start() for match in re.finditer(f"(?<=[qg])u(?=[{_FRONT}])", vowels)}
    nuclei = [match.span() for match in _NUCLEUS.finditer(_without(vowels, silent))]
    roles = _roles(vowels, nuclei, word not in _UNSTRESSED)
    out: list[str] = []
    at = 0
    while at < len(word):
        if at in roles:
            out.append(roles[at])
        elif at not in silent:
            sound, taken = _consonant(word, at)
            out.append(sound)
            at += taken - 1
        at += 1
    joined = re.sub(r"n(?=[kɡx])", "ŋ", "".join(out))
    return _BETWEEN_VOWELS.sub(lambda match: _SOFT[match[1]], joined)


def _without(word: str, silent: set[int]) -> str:
    return "".join("·" if at in silent else letter for at, letter in enumerate(word))


def _roles(vowels: str, nuclei: list[tuple[int, int]], stress: bool) -> dict[int, str]:
    """Return what each vowel sounds like by its place: a full vowel or a glide, the stressed one marked."""
    stressed = _stressed(vowels, nuclei) if stress and nuclei else None
    roles: dict[int, str] = {}
    for number, (begin, end) in enumerate(nuclei):
        full = next((at for at in range(begin, end) if vowels[at] in _STRONG), end - 1)
        for at in range(begin, end):
            vowel = vowels[at].translate(_PLAIN)
            if at != full:
                roles[at] = {"i": "j", "u": "w"}.get(vowel, vowel)
            else:
                roles[at] = ("ˈ" if number == stressed else "") + vowel
    return roles


def _stressed(vowels: str, nuclei: list[tuple[int, int]]) -> int:
    for number, (begin, end) in enumerate(nuclei):
        if set(vowels[begin:end]) & set(_ACCENTED):
            return number
    # words that end in a vowel, n or s are stressed before their last syllable
    before_last = vowels[-1] in f"{_VOWELS}ns"
    return max(0, len(nuclei) - (2 if before_last else 1))


def _consonant(word: str, at: int) -> tuple[str, int]:
    """Return what the consonant at `at` sounds like, and how many letters it is written with."""
    letter, following = word[at], word[at + 1 : at + 2]
    for length in (2, 1):
        if (sound := _SPELLINGS.get(word[at : at + length])) is not None:
            return sound, length
    front = bool(following) and following in _FRONT
    match letter:
        case "c":
            return ("s" if front else "k"), 1
        case "g":
            return ("x" if front else "ɡ"), 1
        case "q":
            return "k", 1
        case "r":
            # rolled at the beginning of a word and after n, l and s
            return ("r" if at == 0 or word[at - 1] in "nls" else "ɾ"), 1
        case "x":
            return ("s" if at == 0 else "ks"), 1
        case "y":
            return "ʝ", 1
    return "", 1
