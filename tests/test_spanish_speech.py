"""Spanish: how figures are said, what letters sound like, and that the voices are understood."""

from types import SimpleNamespace

import numpy as np
import pytest
from rapidfuzz.distance import Levenshtein

from personaplex_app.classic.phrases import plain_words
from personaplex_app.errors import WeightsError
from personaplex_app.speech.recogniser import Recogniser
from personaplex_app.speech.spanish import voices
from personaplex_app.speech.spanish.figures import number_words, spoken_form
from personaplex_app.speech.spanish.letters import phonemes
from personaplex_app.speech.spanish.voices import SPANISH_TIMBRES, SpanishSynthesiser, spanish_is_installed
from personaplex_app.units import SAMPLE_RATE_HZ

SENTENCES = (
    "La entrega cuesta doce euros y tarda dos días.",
    "¿Prefiere una mesa en la terraza, cerca de la ventana?",
    "Traiga por favor un documento con fotografía.",
)


@pytest.mark.parametrize(
    ("written", "sounds"),
    [
        ("hola", "ˈola"),
        ("buenos días", "bwˈenos dˈias"),
        ("¿Cómo estás?", "kˈomo estˈas?"),
        ("me llamo Lucía", "me ʝˈamo lusˈia"),
        ("la estación", "la estasjˈon"),
        ("queso, guitarra y pingüino", "kˈeso, ɡitˈara i piŋɡwˈino"),
        ("jamón gente gigante", "xamˈon xˈente xiɣˈante"),
        ("perro pero alrededor", "pˈero peɾo alreðeðˈoɾ"),
        ("muy rey leyes", "mwˈi rˈej lˈeʝes"),
        ("país aéreo ciudad", "paˈis aˈeɾeo sjuðˈad"),
        ("México taxi", "mˈexiko tˈaksi"),
        ("TV", "te ˈuβe"),
        ("niño chico hueso", "nˈiɲo ʧˈiko wˈeso"),
    ],
)
def test_letters_sound_as_they_are_spoken(written, sounds):
    assert phonemes(written) == sounds


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Cuesta 1.250 € y tarda 2 días.", "Cuesta mil doscientos cincuenta euros y tarda dos días."),
        ("De 9:30 a 21:00.", "De nueve y media a veintiuna."),
        ("Son 12,50 € por 1 hora", "Son doce euros con cincuenta por una hora"),
        ("el 20% de 21 mesas", "el veinte por ciento de veintiuna mesas"),
        ("al 555-0199", "al cinco cinco cinco, cero uno nueve nueve"),
        ("200 páginas, 31 capítulos", "doscientas páginas, treinta y un capítulos"),
        ("3,5 kg y 18 °C", "tres coma cinco kilos y dieciocho grados"),
        ("$35, 1 vez", "treinta y cinco dólares, una vez"),
        ("El Sr. Ruiz no tiene cifras", "El señor Ruiz no tiene cifras"),
        # dates
        ("el 3 de mayo de 2026", "el tres de mayo de dos mil veintiséis"),
        ("2026-05-03", "tres de mayo de dos mil veintiséis"),
        ("03/05/2026", "tres de mayo de dos mil veintiséis"),
        ("el 3/5, 2019-2023", "el tres de mayo, dos mil diecinueve a dos mil veintitrés"),
        ("1.º de mayo, siglo XXI", "primero de mayo, siglo veintiuno"),
        # ranges, fractions, ordinals
        ("10-12 €, 10-15 personas", "diez a doce euros, diez a quince personas"),
        ("9:00-14:00", "nueve a catorce"),
        ("1/2 kilo, ½ hora, 3/4", "medio kilo, media hora, tres cuartos"),
        ("3er piso, 2.ª planta, 5º", "tercer piso, segunda planta, quinto"),
        ("-5 °C, 1.000.000", "menos cinco grados, un millón"),
        # designators and addresses
        ("3.11.7 y versión 2.0", "tres punto once punto siete y versión dos punto cero"),
        ("192.168.1.1", "ciento noventa y dos punto ciento sesenta y ocho punto uno punto uno"),
        ("802.11ax, IPv4", "ochocientos dos punto once a equis, i pe uve cuatro"),
        ("código 4711, #7", "código cuatro siete uno uno, número siete"),
        ("90 km/h, 2x3 m, 15 USD", "noventa kilómetros por hora, dos por tres metros, quince dólares"),
        ("info@casa.es", "info arroba casa punto es"),
        ("24/7, al 100%", "veinticuatro siete, al cien por cien"),
    ],
)
def test_figures_are_said_in_words(written, said):
    assert spoken_form(written) == said


def test_number_words_are_each_another_and_bounded():
    words = [number_words(number) for number in (*range(2_000), 10**6, 2 * 10**6, 10**9)]
    assert len(set(words)) == len(words)
    assert number_words(21, "a") == "veintiuna"
    assert number_words(21, counted=True) == "veintiún"
    assert number_words(501_531, "a") == "quinientas una mil quinientas treinta y una"
    for number in (-1, 10**12):
        with pytest.raises(ValueError, match="is not from 0"):
            number_words(number)


@pytest.mark.slow
def test_voices_are_understood_by_the_spanish_recogniser():
    if not spanish_is_installed():
        pytest.skip("Spanish is not installed: pip install -r requirements-es.txt")
    synthesiser, recogniser = SpanishSynthesiser(), Recogniser("es")
    assert not len(synthesiser.speak("", SPANISH_TIMBRES[0]).samples)
    errors = words = 0
    for timbre in SPANISH_TIMBRES:
        for sentence in SENTENCES:
            clip = synthesiser.speak(sentence, timbre)
            assert [word.text for word in clip.words] == sentence.split()
            assert clip.words[-1].end_s <= len(clip.samples) / SAMPLE_RATE_HZ
            heard = recogniser.transcribe(np.pad(clip.samples, SAMPLE_RATE_HZ // 5), with_words=False).text
            said = plain_words(sentence)
            errors += Levenshtein.distance(said, plain_words(heard.replace("12", "doce").replace("2", "dos")))
            words += len(said)
    assert errors <= 0.1 * words


def test_styles_of_another_hash_are_refused(tmp_path, monkeypatch):
    changed = tmp_path / "styles.npz"
    changed.write_bytes(voices.STYLES_FILE.read_bytes() + b"0")
    numbers = tmp_path / "numbers.json"
    numbers.write_text("{}")
    monkeypatch.setattr(voices, "_whole_model", bytes)
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *args, **options: None)
    monkeypatch.setattr(voices, "PHONEME_NUMBERS", SimpleNamespace(verified=lambda: numbers))
    SpanishSynthesiser()
    monkeypatch.setattr(voices, "STYLES_FILE", changed)
    with pytest.raises(WeightsError, match=r"styles\.npz"):
        SpanishSynthesiser()
