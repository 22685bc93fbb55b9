"""Formulas as people type them: ``2γ(1 − λ)``, ``e^a``, ``ln x``. Returns them in the form that ``Formula`` reads.

What can be read in two ways is refused with the reason: ``1/2a`` is neither taken for a/2 nor for 1/(2a).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from groundup.core.errors import nearest
from groundup.core.messages import Message
from groundup.core.quiz.arithmetic import FUNCTIONS, LONGEST, Formula
from groundup.core.quiz.question import NotAnAnswer, quoted

__all__ = ["read_formula"]

_TOKEN = re.compile(
    r"(?P<number>(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)|(?P<name>[Α-Ωα-ω](?:_\w+|[0-9]+)?|(?![Α-Ωα-ω])[^\W\d]"
    r"[^\WΑ-Ωα-ω]*)|(?P<other>\*\*|//|[-+*/%(),])"
)
"""A number, a name or a sign. A Greek letter is a name of its own: γλ is a product."""
_SIGNS = {
    "\N{MINUS SIGN}": "-", "–": "-", "·": "*", "×": "*", "∗": "*", "⋅": "*", "÷": "/", "^": "**", "√": "sqrt",
    "²": "**2", "³": "**3", "[": "(", "]": ")", "{": "(", "}": ")",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "η": "eta", "θ": "theta", "κ": "kappa",
    "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ρ": "rho", "σ": "sigma", "τ": "tau", "φ": "phi", "χ": "chi",
    "ψ": "psi", "ω": "omega", "Δ": "Delta", "Σ": "Sigma",
}  # fmt: skip
_ALSO = (("lambda", "lam", "lambda_", "lmbda"), ("epsilon", "eps"))  # names for the same letter
_FUNCTIONS = {"ln": "log", "clip": "clamp", "sigma": "sigmoid", **{name: name for name in FUNCTIONS}}
_BINDS = ("/", "//", "%", "**")  # after these a product without its sign has two readings


def read_formula(given: str, names: Iterable[str]) -> Formula:
    """Return what was typed, as a formula over ``names``. Raises NotAnAnswer."""
    names = tuple(names)
    if len(given) > LONGEST:
        raise NotAnAnswer(Message("That is longer than {count} characters.", count=LONGEST))
    text = "".join(_SIGNS.get(character, character) for character in given)
    text = unicodedata.normalize("NFKC", text)
    try:
        formula = Formula(" ".join(_written(list(_tokens(text, given)), names)))
    except NotAnAnswer:
        raise
    except ValueError as problem:
        raise NotAnAnswer(
            Message(
                "{given} is no formula that can be read. There are + - * / ** ( ) and {functions}.",
                given=quoted(given),
                functions=list(FUNCTIONS),
            )
        ) from problem
    return Formula(formula.written()) if len(formula.written()) <= LONGEST else formula


def _tokens(text: str, given: str) -> Iterator[tuple[str, str]]:
    at = 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        found = _TOKEN.match(text, at)
        if found is None:
            sign = quoted(text[at])
            raise NotAnAnswer(Message("{sign} in {given} is not understood.", sign=sign, given=quoted(given)))
        yield str(found.lastgroup), found[0]
        at = found.end()


def _written(tokens: list[tuple[str, str]], names: tuple[str, ...]) -> Iterator[str]:
    """Yield the tokens with names as they are declared, and the products' signs that were left out."""
    before = [""]  # the operator before the factor that is being read, for each open parenthesis
    follows = ""  # the value or the closing parenthesis that the next token follows
    for number, (kind, token) in enumerate(tokens):
        opens = number + 1 < len(tokens) and tokens[number + 1][1] == "("
        name = _name(token, names, opens) if kind == "name" else token
        if follows and (kind != "other" or token == "("):
            if kind == "number" or before[-1] in _BINDS:
                raise NotAnAnswer(
                    Message(
                        "Between {left} and {right} a sign is missing, and it could be read in more than one way. "
                        "Write every * and the parentheses.",
                        left=quoted(follows),
                        right=quoted(token),
                    )
                )
            yield "*"
            before[-1] = "*"
        if kind != "other":
            yield name
            follows = "" if kind == "name" and name in FUNCTIONS else token
        elif token == "(":
            yield token
            before.append("")
            follows = ""
        elif token == ")":
            yield token
            before = before[:-1] or [""]
            follows = token
        else:
            yield token
            if follows:
                before[-1] = token
            follows = ""


def _name(token: str, names: tuple[str, ...], opens: bool) -> str:
    """Return the declared name, the function or the number e that a word stands for. Raises NotAnAnswer."""
    word = "".join(_GREEK.get(letter, letter) for letter in token)
    for candidate in (token, word):
        if candidate in names:
            return candidate
    if opens and (function := _FUNCTIONS.get(word.lower())):
        return function
    for also in _ALSO:
        if word in also and (there := [name for name in names if name in also]):
            return there[0]
    if len(there := [name for name in names if name.lower() == word.lower()]) == 1:
        return there[0]
    if word == "e":
        return "exp(1)"
    if word.lower() in _FUNCTIONS:
        function = _FUNCTIONS[word.lower()]
        raise NotAnAnswer(Message("{name} needs its argument in parentheses: {name}(...).", name=function))
    near = nearest(word, names)
    raise NotAnAnswer(
        Message("There is no {name}; did you mean {near}?", name=quoted(token), near=near[0])
        if near
        else Message("There is no {name}; there are {names}.", name=quoted(token), names=list(names))
    )
