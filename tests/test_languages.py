"""Which role prompts are taken for English."""

import pytest

from personaplex_app.languages import is_english
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


@pytest.mark.parametrize("text", OTHERS, ids=lambda text: text[:12])
def test_role_in_another_language_is_not_english(text):
    assert not is_english(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hi.",
        "Jürgen Müller, Straße 5, 50667 Köln",
        "Prices: espresso 2.10, café au lait 3.50, crème brûlée 6. Open 9 to 5.",
        "You work for the Stadtwerke Köln and your name is Jürgen. Say “Auf Wiedersehen” when they leave.",
        *(persona.prompt for persona in load_personas()),
    ],
    ids=lambda text: text[:12],
)
def test_role_in_english_or_too_short_to_tell_is_let_be(text):
    assert is_english(text)
