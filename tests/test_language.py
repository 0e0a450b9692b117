"""Which language a role or an answer is in."""

import pytest

from personaplex_app.personas import load_personas
from personaplex_app.speech.language import is_latin, other_language

pytestmark = pytest.mark.unit


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


@pytest.mark.parametrize("persona", load_personas(), ids=lambda persona: persona.name)
def test_our_own_personas_are_english(persona):
    assert other_language(persona.prompt) == ""


def test_is_latin_allows_a_foreign_word():
    assert is_latin("It is called 寿司 here, and costs €5.")
    assert is_latin("…")
    assert not is_latin("寿司はおいしいです (sushi)")
