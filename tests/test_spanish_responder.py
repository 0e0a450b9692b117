"""The Spanish responder in its roles: facts, forms, feelings, small talk, and what it does not know."""

import pytest

from personaplex_app.classic.language import spanish_talk
from personaplex_app.classic.phrases import Ending, ending, is_backchannel, is_stop
from personaplex_app.engine.contract import SessionConfig
from personaplex_app.languages import SPANISH, SPANISH_CODE, other_language
from personaplex_app.personas import load_personas
from personaplex_app.responder.rules import make_responder
from personaplex_app.responder.spanish.responder import SpanishResponder
from personaplex_app.voices import SPANISH as SPANISH_VOICES

PERSONAS = {each.name: each for each in load_personas(spanish=True) if each.language}
OWN = """Te llamas Rosa y trabajas en Taller Ruedas. Información: Cambiar una rueda cuesta 18 €. Una revisión
cuesta 45 € y dura 2 horas. El taller abre de lunes a sábado, de 8:30 a 19:00."""


class Talk:
    def __init__(self, persona="", prompt=""):
        self.responder = SpanishResponder(prompt or PERSONAS[persona].prompt)
        self.greeting = self.responder.greet()
        self.responder.record_played(self.greeting, False)

    def say(self, text, played=True):
        reply = " ".join(self.responder.reply(text))
        if played:
            self.responder.record_played(reply, False)
        return reply


def test_personas_are_six_and_more_in_spanish_with_a_voice_of_it():
    assert len(PERSONAS) >= 6
    names = {voice.name for voice in SPANISH_VOICES}
    for persona in PERSONAS.values():
        assert persona.language == SPANISH_CODE
        assert other_language(persona.prompt) == SPANISH
        assert persona.voice_among(names)
    assert not any(each.language for each in load_personas())


@pytest.mark.parametrize("persona", PERSONAS.values(), ids=lambda persona: persona.name)
def test_persona_answers_its_own_examples(persona):
    talk = Talk(persona.name)
    assert persona.prompt.split()[2] in talk.greeting
    for example in persona.examples:
        reply = talk.say(example)
        assert reply
        assert not reply.startswith(("Eso no lo sé", "No tengo esa", "Sobre eso", "Perdone"))


@pytest.mark.parametrize(
    ("persona", "question", "part"),
    [
        ("tienda-muebles", "¿Cuánto vale el envío urgente?", "35 €"),
        ("tienda-muebles", "¿En qué horario puedo llamar?", "8:00"),
        ("tienda-muebles", "¿Qué garantía tienen los muebles?", "2 años"),
        ("clinica-dental", "¿Abrís los sábados?", "10:00"),
        ("clinica-dental", "¿Dónde están ustedes?", "calle Mayor"),
        ("clinica-dental", "¿Tienen parking?", "aparcamiento"),
        ("restaurante-mar", "¿Puedo ir con el perro?", "terraza"),
        ("hotel-sierra", "¿A qué hora es el desayuno?", "7:30"),
        ("hotel-sierra", "¿Hay internet?", "wifi"),
        # without accents and with a word misheard
        ("hotel-sierra", "hasta que hora es el desayno", "7:30"),
    ],
)
def test_fact_is_found_by_other_words(persona, question, part):
    assert part in Talk(persona).say(question)


@pytest.mark.parametrize("greeting", ["Hola", "Hola, buenas tardes.", "Buenos días", "Buenas noches"])
def test_greeting_is_answered_by_one_and_not_by_a_fact(greeting):
    for name in PERSONAS:
        assert not any(fact in Talk(name).say(greeting) for fact in ("€", ":00", "días"))


def test_own_prompt_is_a_role():
    talk = Talk(prompt=OWN)
    assert talk.greeting == "Hola, soy Rosa, de Taller Ruedas. ¿En qué puedo ayudarle?"
    assert "18 €" in talk.say("¿Cuánto cuesta cambiar una rueda?")
    assert "2 horas" in talk.say("¿Cuánto dura la revisión?")
    assert "€" not in talk.say("¿Cuánto cuesta un motor nuevo?")


def test_booking_collects_is_corrected_and_read_back():
    talk = Talk("clinica-dental")
    assert "día" in talk.say("Quisiera pedir una cita")
    assert "hora" in talk.say("El martes")
    # a question in the middle is answered, and the form stays open
    assert "60 €" in talk.say("¿Cuánto cuesta una limpieza?")
    assert "nombre" in talk.say("A las diez y media")
    assert talk.say("Ana López") == (
        "Lo repito: el martes, a las diez y media, a nombre de Ana López. ¿Es correcto?"
    )
    assert "el viernes, a las diez y media" in talk.say("No, el viernes")
    assert "anotado" in talk.say("Sí")
    assert "anotado" not in talk.say("Sí")


def test_everything_at_once_needs_only_the_name():
    talk = Talk("restaurante-mar")
    assert "nombre" in talk.say("Quiero reservar una mesa para mañana a las nueve")
    assert "mañana, a las nueve, a nombre de Marta" in talk.say("Marta")
    assert "sin reservar" in talk.say("Déjelo, ya no quiero")


def test_reply_that_was_not_played_leaves_nothing():
    talk = Talk("clinica-dental")
    talk.say("Me llamo Pablo", played=False)
    assert "Pablo" not in talk.say("¿Cómo me llamo?")
    assert "Encantado, Pablo." in talk.say("Me llamo Pablo")
    assert talk.say("¿Cómo me llamo?") == "Se llama Pablo."


def test_talk_itself_comes_first():
    talk = Talk("hotel-sierra")
    assert "oigo" in talk.say("¿Me oyes?")
    fact = talk.say("¿Hay wifi?")
    assert talk.say("¿Puede repetirlo?") == fact
    assert "programa" in talk.say("¿Eres una persona?")
    assert "PersonaPlex no" in talk.say("¿Eres PersonaPlex?")
    talk.say("Más despacio, por favor")
    assert talk.responder.pace < 1
    assert "42" in talk.say("¿Cuánto es 12 más treinta?")
    assert "cero" in talk.say("¿Cuánto es 5 entre 0?")
    assert "siento" in talk.say("Mi perro ha muerto")
    assert "pronto" in talk.say("Adiós")


def test_refusals_differ_and_the_third_offers_what_is_known():
    talk = Talk("hotel-sierra")
    said = [talk.say(question) for question in ("¿Venden zapatos?", "¿Y martillos?", "¿Y helicópteros?")]
    assert len(set(said)) == 3
    assert "«" in said[2]


def test_interview_asks_one_question_at_a_time():
    talk = Talk("entrevista")
    assert "hábleme de usted" in talk.greeting
    assert "corto" in talk.say("Pues no sé")
    assert "puesto" in talk.say("Trabajé tres años en una tienda y llevaba el almacén con dos compañeros")


def test_make_responder_takes_spanish_by_the_talks_language():
    responder = make_responder(SessionConfig("dora", OWN, language=SPANISH_CODE))
    assert isinstance(responder, SpanishResponder)


@pytest.mark.parametrize(
    ("text", "judged"),
    [
        ("¿Cuánto cuesta?", Ending.DONE),
        ("Sí.", Ending.DONE),
        ("Quiero reservar una mesa para", Ending.OPEN),
        ("Me llamo Ana.", Ending.DONE),
        ("Quiero preguntarle una cosa.", Ending.LOOSE),
        ("El martes", Ending.UNSURE),
    ],
)
def test_ending_of_a_spanish_turn(text, judged):
    assert ending(text, spanish_talk().words) is judged


def test_spanish_backchannels_and_stops():
    words = spanish_talk().words
    assert is_backchannel("Ajá, sí", words)
    assert not is_backchannel("¿Y cuánto?", words)
    assert is_stop("No, espera", words)
    assert not is_stop("Para mañana a las nueve", words)
