"""Whether a text is in the language that an engine speaks: scripts and common words, no identifier.

It errs towards silence: names, lists of prices and short texts say nothing about a language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

ENGLISH = "English"
LEAST_LETTERS = 6
LEAST_WORDS = 3
# words that are frequent in one of these languages and no words of English
_OTHERS: Mapping[str, str] = {
    "German": "der das und ist du für von mit ein eine einen nicht auf sich bis zu sind wir ihr dein heißt",
    "French": "le les des du une est et vous pour dans avec sur nous votre je qui ce cette tu êtes",
    "Spanish": "el los las una y por para con eres es tu su usted nosotros del como está que se trabajas",
    "Portuguese": "os as uma você é e para com não seu sua dos da em que trabalha do nós são nome",
    "Italian": "il gli della di che per con sei è una tuo sono nel lavori si chiami e dalle alle",
    "Dutch": "het een en van je voor met niet jouw werkt bij wij zijn ik heet bent tot dat",
    "Polish": "jest się nie i w na z do że pracujesz jesteś nazywasz oraz od dla masz",
    "Turkish": "bir ve için bu ile çalışıyorsun sen adın biz siz saat olarak da de",
    "Swedish": "och är du för det på med en som heter inte till vi av jobbar från",
    "Danish, Norwegian": "og er du for det på med en som hedder heter ikke til vi av af jobber arbejder fra",
    "Finnish": "ja on ei se sinä olet että joka kun nimesi ovat työskentelet myös tai klo sinun",
    "Hungarian": "és egy az nem hogy van neved dolgozol vagy te mi minden nálunk csak",
    "Czech": "jsi je a se na že pro ve od jsme pracuješ jmenuješ není máš nebo která",
    "Romanian": "și este un o la în nu sunt ești lucrezi pentru cu din sau suntem numești",
    "Indonesian": "anda yang di dan untuk adalah dengan dari ini itu tidak nama bekerja kami pada",
    "Vietnamese": "bạn là và của cho một các có không tên với tại chúng tôi làm",
}
_ENGLISH = (
    "the you your is are and of for at with that this we our they he she it was not from by can be have has"
    " will on in to as or a an if when who what how work name called do does about all no yes i my me"
)
_OTHER_WORDS = tuple(frozenset(words.split()) for words in _OTHERS.values())
_ENGLISH_WORDS = frozenset(_ENGLISH.split())


def is_english(text: str) -> bool:
    """Return whether a text may well be English; True where there is too little of it to tell."""
    letters = [char for char in text if char.isalpha()]
    if len(letters) < LEAST_LETTERS:
        return True
    latin = sum(unicodedata.name(char, "").startswith("LATIN") for char in letters)
    if latin < len(letters) / 2:
        return False
    words = re.findall(r"[^\W\d_]+", text.lower())
    english = sum(word in _ENGLISH_WORDS for word in words)
    other = max(sum(word in vocabulary for word in words) for vocabulary in _OTHER_WORDS)
    return other < LEAST_WORDS or other <= english


def language_warning(title: str, language: str, prompt: str) -> str:
    """Return a sentence where a role prompt is not in the one language of an engine, "" where it may be.

    `title` is the engine's; `language` is "" where it is bound to none.
    """
    if language != ENGLISH or is_english(prompt):
        return ""
    return (
        f"{title} understands and speaks {language} alone; of a role in another language it knows little or"
        f" nothing. Write the role in {language}."
    )
