"""Arithmetic as people say it: "17 times 23", "fifteen percent of eighty", "and half of that".

Own code, since the task is to read spoken English; the computing is a dozen lines over exact fractions.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from fractions import Fraction

from .contract import Reply, Talk, reply
from .spoken_numbers import with_digits
from .turn import Turn

MAX_DIGITS = 15
_MAX_EXPONENT = 60
_N = r"\d+(?:\.\d+)?"
# spoken forms with the numbers in another order than the sum has them
_PHRASES = tuple(
    (re.compile(pattern), made)
    for pattern, made in (
        (rf"\b(?:the )?sum of ({_N}) and ({_N})|\badd ({_N}) (?:and|to) ({_N})", r"\1\3 + \2\4"),
        (rf"\bsubtract ({_N}) from ({_N})|\btake ({_N}) (?:away )?from ({_N})", r"\2\4 - \1\3"),
        (rf"\bdifference (?:between|of) ({_N}) and ({_N})", r"\1 - \2"),
        (
            rf"\b(?:the )?product of ({_N}) and ({_N})|\bmultiply ({_N}) (?:by|with|and|times) ({_N})",
            r"\1\3 * \2\4",
        ),
        (rf"\bdivide ({_N}) by ({_N})", r"\1 / \2"),
        (rf"\b({_N}) ?(?:%|percent|per cent) (?:of|off?) ({_N})", r"(\1 / 100 * \2)"),
        (rf"\b(?:the )?square root of ({_N})", r"sqrt(\1)"),
        (rf"\b(?:the )?square of ({_N})", r"(\1 ** 2)"),
        (rf"\b(?:the )?average of ({_N}),? and ({_N})", r"((\1 + \2) / 2)"),
        (rf"\b(?:one |a )?half (?:of )?({_N})", r"(\1 / 2)"),
        (rf"\b(\d+) (?:quarters|fourths) of ({_N})", r"(\1 / 4 * \2)"),
        (rf"\b(\d+) thirds of ({_N})", r"(\1 / 3 * \2)"),
        (rf"\b(\d+) fifths of ({_N})", r"(\1 / 5 * \2)"),
        (rf"\b(?:a|one|1) third of ({_N})", r"(\1 / 3)"),
        (rf"\b(?:a|one|1) (?:quarter|fourth) of ({_N})", r"(\1 / 4)"),
        (rf"\b(?:a|one|1) tenth of ({_N})", r"(\1 / 10)"),
        (rf"\b(?:twice|double) ({_N})", r"(2 * \1)"),
        (rf"\btriple ({_N})", r"(3 * \1)"),
        (r"\b(?:(?:raised )?to the power of|to the)(?: power)? (\d+)(?:th|nd|rd|st)?(?: power)?", r" ** \1"),
        (r"\bsquared\b", "** 2"),
        (r"\bcubed\b", "** 3"),
        (r"\bdivided by\b|÷|(?<=\d) over (?=\d)|(?<=\d) by (?=\d+$)", " / "),
        (r"\bmultiplied (?:by|with)\b|\btimes\b|×|(?<=\d) ?x ?(?=\d)", " * "),
        (r"\bplus\b|(?<=\d) and (?=\d+$)", " + "),
        (r"\bminus\b|\bless\b|\btake away\b", " - "),
        (r"\^", "**"),
    )
)
_QUESTION = re.compile(
    r"^(?:(?:what about|how about|what (?:do|would) (?:you|i|we) get (?:if|when) (?:you|i|we)|what is"
    r"|what are|what does|what do"
    r"|what|how much is"
    r"|how much are|how much does|how many is|calculate|compute|work out|solve|figure out|do|say|and|then"
    r"|what about"
    r"|how about|the answer to|the result of)\b)? ?(?P<sum>.+?)"
    r"(?: ?=| equals?| make| makes| come to| is)?(?: what| how much)?$"
)
_SUM = re.compile(r"[\d.() ]*(?:sqrt|[-+*/()\d. ])+")
_ON_LAST = re.compile(
    r"^(?:and |then |now )*(?:(?:what is |multiply |divide )?(?:that|it|this|the result) )?"
    r"(?P<rest>(?:times|plus|minus|divided by|multiplied by|squared|cubed|by|add|subtract|/|\*|\+|-)\b.*)$"
)
_OF_LAST = re.compile(
    r"\b(?:half|third|quarter|tenth|percent|%|root|double|twice|triple)(?: of)? (that|it|this)\b"
)
_BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_SPOKEN = (
    (" ** 2", " squared"),
    (" ** 3", " cubed"),
    ("**", "to the power of"),
    ("*", "times"),
    ("+", "plus"),
    (" - ", " minus "),
    ("/", "divided by"),
)


def arithmetic(turn: Turn, talk: Talk) -> Reply | None:
    """Answer a sum; "and times two" goes on with the last result."""
    for form in turn.forms:
        expression = _expression(form, talk.state.result)
        if expression is None:
            continue
        try:
            value = evaluate(expression)
        except ZeroDivisionError:
            return reply("Nothing can be divided by zero. What else shall I work out?")
        except ValueError:
            continue
        except OverflowError:
            return reply("That number is too large for me to say. Try a smaller sum.")
        talk.note(result=str(value))
        said, exact = spoken(value)
        return reply(f"{_read(form, expression)} {'is' if exact else 'is about'} {said}.", computed=True)
    return None


def evaluate(expression: str) -> Fraction:
    """Return the value of a sum with + - * / ** and sqrt.

    Raises: ZeroDivisionError; ValueError when it is no sum; OverflowError for more than 15 digits.
    """
    try:
        value = _value(ast.parse(expression.strip(), mode="eval").body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("no sum") from error
    if abs(value) >= 10**MAX_DIGITS:
        raise OverflowError("too large")
    return value


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.Constant(value=int() | float() as number):
            return Fraction(str(number))
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return -_value(inner)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            base = _value(left)
            power = _value(right)
            if power.denominator != 1 or abs(power) > _MAX_EXPONENT or abs(base) > 10**MAX_DIGITS:
                raise OverflowError("too large")
            return base ** int(power)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _BINARY[type(op)](_value(left), _value(right))
        case ast.Call(func=ast.Name(id="sqrt"), args=[inner]):
            return _root(_value(inner))
    raise ValueError("no sum")


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise ValueError("no real root")
    exact = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return exact if exact * exact == value else Fraction(math.sqrt(value)).limit_denominator(10**9)


def spoken(value: Fraction, digits: int = 3) -> tuple[str, bool]:
    """Return a number as it is to be said, with at most so many decimals, and whether that is all of it."""
    rounded = round(value, digits)
    if rounded == 0 and value:
        return f"{float(value):.{digits + 4}f}".rstrip("0").rstrip("."), False
    # with commas, or 1900 would be said as a year
    text = (
        f"{float(rounded):,.{digits}f}".rstrip("0").rstrip(".")
        if rounded.denominator > 1
        else f"{int(rounded):,}"
    )
    return text.replace("-", "minus "), rounded == value


def _expression(form: str, last: str) -> str | None:
    text = with_digits(form)
    question = _QUESTION.match(text)
    if not question or not re.search(r"\d|\bthat\b|\bit\b", text):
        return None
    text = question["sum"]
    if last:
        number = f"({last})"
        shown = spoken(Fraction(last), 9)[0].replace("minus ", "-").replace(",", "")
        text = _OF_LAST.sub(lambda m: m[0].removesuffix(m[1]) + shown, text)
        if on_last := _ON_LAST.match(text):
            rest = re.sub(r"^by", "times" if "multiply" in text else "divided by", on_last["rest"])
            rest = re.sub(r"^add", "plus", re.sub(r"^subtract", "minus", rest))
            text = f"{number if '/' in last else shown} {rest}"
    for pattern, made in _PHRASES:
        text = pattern.sub(made, text)
    text = " ".join(text.split())
    # a lone number, a date or a phone number is no sum
    if not _SUM.fullmatch(text) or not re.search(r"\d\)? ?(?:\*\*|[-+*/]) ?[(\d]|sqrt|\(\d", text):
        return None
    if re.fullmatch(r"\d+(?:-\d+){1,3}", text):
        return None
    return text


def _read(form: str, expression: str) -> str:
    """Return the sum in words, as the user said it where that reads well."""
    said = re.search(r"\b(?:\w+ percent of|square root of|half of|third of|quarter of) [\w. -]+$", form)
    if said and "(" in expression:
        return said[0][:1].upper() + said[0][1:]
    text = re.sub(r"\b\d{4,}\b(?!\.)", lambda m: f"{int(m[0]):,}", expression.strip())
    if "(" in text:
        return "That"
    for sign, word in _SPOKEN:
        text = text.replace(sign, f" {word} ")
    return " ".join(text.split())
