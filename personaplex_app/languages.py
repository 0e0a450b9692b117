"""Tell English from other languages by script and by the commonest words, and say so where it matters.

It errs towards silence: names, lists of prices and short texts say nothing about a language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

ENGLISH = "English"
SPANISH = "Spanish"
ENGLISH_CODE, SPANISH_CODE = "en", "es"
LANGUAGE_CODES = (ENGLISH_CODE, SPANISH_CODE)
"""The languages that a talk may be held in."""
_MIN_WORDS = 4
_MIN_SHARE = 0.12
# "per", "de" and the like stand in English texts too
_MIN_FOUND = 2
# of a short turn, so much must be words of the other language
_MIN_GREETED = 0.6
# what is English too, or a name
_EITHER = "die come tag tu el la mi un sale moi"
_COMMONEST = {
    "English": "the a an is are you your and of to for in with on at from it we our not this"
    " that be have i my do does did can could will would what where when who how why which there"
    " here me he she they them was were but or if so as by no any some about get go want need"
    " like know please much many",
    "German": "der die das und ist nicht ein eine einen du sie wir ich mit für auf von zu im"
    " sind dein deine ihr bist heißt bei uhr bis oder wie",
    "French": "le la les des est et vous nous une un pour dans avec votre notre que qui pas tu"
    " es du au sur je de à ou en",
    "Spanish": "el la los las es y una un para con que usted su del por eres tu se de en no al o como lo",
    "Italian": "il lo la gli è e un una per con che di sei del della non le i al nel tuo si da o",
    "Portuguese": "o a os as é e um uma para com que você seu sua do da não em de no na se por",
    "Dutch": "de het een en is je u voor met van niet bent naam op ik wij zijn dat te bij of aan",
    "Polish": "i w na z do jest się nie to dla po od jesteś twoje masz o za czy",
    "Swedish": "och är en ett på för med av du som inte till den det i om din ditt vi",
    "Turkish": "ve bir için ile bu sen siz da de çok olan adın değil mi",
    "Finnish": "ja on ei se sinä olet että joka kun nimesi ovat työskentelet myös tai klo sinun",
    "Hungarian": "és egy az nem hogy van neved dolgozol vagy te mi minden nálunk csak",
    "Czech": "jsi je a se na že pro ve od jsme pracuješ jmenuješ není máš nebo která",
    "Romanian": "și este un o la în nu sunt ești lucrezi pentru cu din sau suntem numești",
    "Indonesian": "anda yang di dan untuk adalah dengan dari ini itu tidak nama bekerja kami pada",
    "Vietnamese": "bạn là và của cho một các có không tên với tại chúng tôi làm",
    "Danish or Norwegian": "og er du for det på med en som hedder heter ikke til vi av af jobber fra",
}
_ENGLISH = frozenset(_COMMONEST[ENGLISH].split())
# a word that is English too says nothing for another language
_WORDS = {
    name: frozenset(words.split()) - (_ENGLISH if name != ENGLISH else set())
    for name, words in _COMMONEST.items()
}
# what people try first with somebody whose language they do not know
_FIRST_WORDS = {
    "German": "guten tag morgen abend hallo danke bitte sprechen sie sprichst du deutsch wie geht wo "
    "ist ich möchte"
    " brauche hilfe können mir verstehe kein englisch nicht kostet eine einen viel das der die ein haben",
    "French": "bonjour bonsoir salut merci parlez vous parles tu français comment allez ça va où est "
    "s'il je voudrais"
    " besoin aide pouvez m'aider parle pas anglais raconte moi une histoire combien coûte "
    "avez un le la les ne suis",
    "Spanish": "hola ola buenos buenas días tardes noches gracias hablas habla usted español cómo qué "
    "está estás tal"
    " puedes puede ayudarme ayuda hablo inglés quiero necesito cuánto cuesta amigo abuela por "
    "favor dónde cuéntame un"
    " cuento tengo soy se en mi el la los una me llamo",
    "Italian": "ciao buongiorno buonasera grazie parli parla italiano come stai sta dove è prego lei "
    "vorrei aiuto mi può"
    " aiutare dispiace non parlo inglese quanto costa mille ho bisogno sono una il la",
    "Portuguese": "olá bom dia boa tarde obrigado obrigada você fala português como está tudo bem onde fica",
    "Dutch": "hallo goedemorgen goedemiddag goedenavond bedankt tot ziens doei alstublieft dank je wel"
    " spreek spreekt praten kun kunt u ik nederlands hoe gaat het en waar is",
    "Polish": "dzień dobry cześć dziękuję mówisz pan pani po polsku jak masz gdzie jest",
    "Swedish": "hej god morgon tack talar du svenska hur mår var är",
    "Turkish": "merhaba günaydın teşekkürler türkçe biliyor musun nasılsın nerede",
}
# a greeting alone, of those that are no English by now
_ALONE_WORDS = {
    "Spanish": (
        "hola,buenos dias,buenas tardes,buenas noches,gracias,muchas gracias,no hablo ingles,se habla espanol"
    ),
    "French": "bonjour,bonsoir,salut,merci,merci beaucoup,s'il vous plait",
    "German": "guten tag,guten morgen,hallo,danke,danke schon,auf wiedersehen,gruss gott",
    "Italian": "buongiorno,buonasera,grazie,grazie mille,arrivederci,mi dispiace",
    "Portuguese": "ola,bom dia,boa tarde,obrigado,obrigada",
    "Dutch": "goedemorgen,goedemiddag,dank je wel,tot ziens,bedankt",
    "Swedish": "hej,god morgon,tack",
}
_ALONE = {name: frozenset(words.split(",")) for name, words in _ALONE_WORDS.items()}


_SCRIPTS = {
    "CJK": "Chinese", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean",
    "CYRILLIC": "Russian", "ARABIC": "Arabic", "GREEK": "Greek", "HEBREW": "Hebrew",
    "DEVANAGARI": "Hindi", "THAI": "Thai",
}  # fmt: skip


def _bare(word: str) -> str:
    """Return a word without accents, as a recogniser of English writes it."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


_GREETED = {
    name: frozenset(map(_bare, words.split())) - _ENGLISH - frozenset(_EITHER.split())
    for name, words in _FIRST_WORDS.items()
}


def other_language(text: str) -> str:
    """Return the language, or script, that a text is mostly in; "" for English and where it is unclear."""
    script = _script(text)
    if script != "LATIN":
        # kana among the characters make it Japanese
        return "Japanese" if re.search(r"[\u3040-\u30ff]", text) else _SCRIPTS.get(script, "another script")
    words = re.findall(r"[^\W\d_]+", text.lower())
    if len(words) < _MIN_WORDS:
        return ""
    found = {name: sum(word in common for word in words) for name, common in _WORDS.items()}
    best = max(found, key=lambda name: found[name])
    enough = max(_MIN_FOUND, _MIN_SHARE * len(words), 1.5 * found[ENGLISH])
    return best if best != ENGLISH and found[best] >= enough else ""


def language_of_turn(text: str) -> str:
    """Return the language, or script, of what somebody said, also of the short sentences that people begin
    with; "" for English and where it is unclear.
    """
    if found := other_language(text):
        return found
    if re.search("[¿¡]", text):
        return "Spanish"
    words = [_bare(word) for word in re.findall(r"[^\W\d_]+(?:'[^\W\d_]+)?", text.lower())]
    first = next((name for name, known in _ALONE.items() if words and " ".join(words) in known), "")
    found = {name: sum(word in known for word in words) for name, known in _GREETED.items()}
    best = max(found, key=lambda name: found[name])
    # a word that is English too says nothing
    english = sum(word in _ENGLISH for word in words)
    enough = found[best] >= max(_MIN_FOUND, _MIN_GREETED * len(words), 2 * english)
    return first or (best if enough else "")


def is_latin(text: str) -> bool:
    """Return whether a voice that knows Latin letters can speak a text, most of it at least."""
    return _script(text) == "LATIN"


def _script(text: str) -> str:
    """Return the script of most of the letters, "LATIN" for a text without any."""
    scripts = Counter(unicodedata.name(letter, "?").split(" ")[0] for letter in text if letter.isalpha())
    return scripts.most_common(1)[0][0] if scripts else "LATIN"


def language_warning(title: str, language: str, prompt: str) -> str:
    """Return a sentence where a role prompt is not in the one language of an engine, "" where it may be.

    `title` is the engine's; `language` is "" where it is bound to none.
    """
    other = other_language(prompt)
    if language != ENGLISH or not other:
        return ""
    return (
        f"This role seems to be written in {other}. {title} understands and speaks {language} alone; of a"
        f" role in another language it knows little or nothing. Write the role in {language}."
    )
