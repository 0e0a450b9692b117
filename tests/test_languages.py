"""Which language a role or an answer is in."""

import pytest

from personaplex_app.evaluation.scenarios import load_scenarios
from personaplex_app.languages import is_latin, language_of_turn, other_language
from personaplex_app.personas import load_personas

pytestmark = pytest.mark.unit

OTHERS = [
    "Du arbeitest für die Stadtwerke Köln und heißt Jürgen. Öffnungszeiten: von 9 bis 17 Uhr.",
    "你是小美，在一家花店工作。我们每天上午九点到下午六点营业。",
    "Vous êtes Claire et vous travaillez pour la boulangerie. Nous sommes ouverts du lundi au samedi.",
    "Eres Lucía y trabajas para la floristería. El ramo cuesta 20 euros y los domingos no se abre.",
    "Você é a Ana e trabalha para uma padaria. O pão custa 2 euros e a loja não abre aos domingos.",
    "Ti chiami Paolo e lavori per il mercato. Gli orari sono dalle 8 alle 13 e la domenica è chiuso.",
    "Je heet Sanne en je werkt bij het zwembad. Een kaartje kost 5 euro en wij zijn niet open op zondag.",
    "Jesteś Anna i pracujesz w kwiaciarni. Bukiet kosztuje 50 zł, a w niedzielę nie jest otwarte.",
    "Olet Anna ja työskentelet kukkakaupassa. Se on auki joka päivä klo 9, ei sunnuntaina.",
    "Te Anna vagy és egy virágboltban dolgozol. Vasárnap nem vagyunk nyitva.",
    "Jmenuješ se Anna a pracuješ v květinářství. V neděli není otevřeno, od pondělí je.",
    "Nama Anda Budi dan Anda bekerja di toko bunga. Toko ini tidak buka pada hari Minggu.",
    "Вы работаете в аптеке, вас зовут Ирина. Мы открыты каждый день с девяти до шести.",
    "أنت تعمل في متجر للزهور واسمك ليلى. نحن نفتح كل يوم من التاسعة حتى السادسة.",
    "あなたは花屋で働く美咲です。毎日九時から六時まで営業しています。",
    "आप एक फूलों की दुकान में काम करते हैं और आपका नाम मीरा है।",
]


@pytest.mark.parametrize(
    ("role", "language"),
    [
        ("Sie arbeiten für ein Hotel und heißen Karl. Das Frühstück ist von acht bis zehn.", "German"),
        ("Vous travaillez pour une boulangerie et vous vous appelez Luc. Le pain est frais.", "French"),
        ("Trabajas para un hotel y te llamas Ana. El desayuno es a las ocho.", "Spanish"),
        ("Lavori per un hotel e il tuo nome è Anna. La colazione è alle otto.", "Italian"),
        ("Você trabalha em um hotel e seu nome é Ana. O café é às oito.", "Portuguese"),
        ("Je werkt voor een hotel en je naam is Anna. Het ontbijt is om acht uur.", "Dutch"),
        ("你在一家酒店工作，早餐八点开始。", "Chinese"),
        ("ホテルで働いています。朝食は八時です。", "Japanese"),
        ("당신은 호텔에서 일합니다.", "Korean"),
        ("Вы работаете в гостинице.", "Russian"),
        ("أنت تعمل في فندق", "Arabic"),
        ("Εργάζεσαι σε ξενοδοχείο", "Greek"),
        ("คุณทำงานที่โรงแรม", "Thai"),
        ("Դուք աշխատում եք հյուրանոցում", "another script"),
        ("You teach Spanish. \"Hola\" means hello, and \"¿dónde está el baño?\" asks for the bathroom.", ""),
        ("Café Zürich, rye loaf $4", ""),
        ("", ""),
        ("42 😀", ""),
    ],
)  # fmt: skip
def test_other_language_of_a_role_is_named(role, language):
    assert other_language(role) == language


def test_english_sentences_of_every_kind_are_taken_for_english():
    asked = [way for each in load_scenarios() for part in each.script for way in (part.text, *part.ways)]
    sentences = [*asked, *(example for persona in load_personas() for example in persona.examples)]
    sentences += ["What do I do with used batteries?", "It is $49 per item.", "Miguel de Cervantes wrote it."]
    assert [each for each in sentences if language_of_turn(each)] == []


@pytest.mark.parametrize("persona", load_personas(), ids=lambda persona: persona.name)
def test_our_own_personas_are_english(persona):
    assert other_language(persona.prompt) == ""


def test_is_latin_allows_a_foreign_word():
    assert is_latin("It is called 寿司 here, and costs €5.")
    assert is_latin("…")
    assert not is_latin("寿司はおいしいです (sushi)")


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: text[:12])
def test_role_in_another_language_is_noticed(text):
    assert other_language(text)


@pytest.mark.parametrize(
    "text",
    [
        "Hi.",
        "Jürgen Müller, Straße 5, 50667 Köln",
        "Prices: espresso 2.10, café au lait 3.50, crème brûlée 6. Open 9 to 5.",
        "You work for the Stadtwerke Köln and your name is Jürgen. Say “Auf Wiedersehen” when they leave.",
    ],
    ids=lambda text: text[:12],
)
def test_role_in_english_or_too_short_to_tell_is_let_be(text):
    assert not other_language(text)


@pytest.mark.parametrize(
    ("said", "language"),
    [
        ("¿Hablas español?", "Spanish"),
        ("Buenos días, ¿cómo está?", "Spanish"),
        ("Sprechen Sie Deutsch?", "German"),
        ("Parlez-vous français ?", "French"),
        ("Parli italiano?", "Italian"),
        ("Você fala português?", "Portuguese"),
        ("Spreekt u Nederlands?", "Dutch"),
        ("Можно по-русски?", "Russian"),
        ("Wo ist der nächste Bahnhof, bitte?", "German"),
        ("Hola!", "Spanish"),
        ("Bon voyage, my friend.", ""),
        ("Do you speak Spanish?", ""),
        ("Ciao for now.", ""),
        ("Is bratwurst on the menu?", ""),
        ("Two tacos al pastor and a pad thai.", ""),
    ],
)
def test_language_of_turn_knows_the_short_sentences_that_people_begin_with(said, language):
    assert language_of_turn(said) == language
