"""Questions on a listing: what a program prints, and which line is wrong."""

from __future__ import annotations

import ast
import re
import unicodedata
from decimal import Decimal, InvalidOperation
from random import Random
from typing import Any, Self

from pydantic import Field, field_validator, model_validator
from typing_extensions import override

from groundup.core.messages import Message
from groundup.core.quiz.question import Answer, Asked, FieldProblem, NotAnAnswer, Question, listing, quoted
from groundup.core.technique import Declared

__all__ = ["Case", "FaultyLine", "Output", "Printed", "same_print"]

LONGEST = 40  # lines of a listing
FEWEST_LINES = 4  # of a listing in which one is to be found
LONGEST_PRINT = 1000  # characters
_NUMBER = re.compile(r"(?<![\w.])[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?(?![\w.])")
_AROUND = re.compile(r"\s*([\[\](){},:])\s*")


class Case(Declared):
    """One set of values for a program, and what it prints with them."""

    values: dict[str, Any] = Field(min_length=1, description="variables that the program is given")
    prints: str

    @field_validator("values")
    @classmethod
    def _are_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        for name in values:
            if not name.isidentifier():
                raise ValueError(f"{name!r} is no name of a variable")
        return values


class Output(Question):
    """What does this program print? One of ``cases`` is drawn, and its values stand at the head of the listing."""

    code: str = Field(description="a Python program")
    cases: tuple[Case, ...] = Field((), description="two or more sets of values, each with what is printed then")
    prints: str | None = Field(None, description="what is printed, of a program without cases")

    @model_validator(mode="after")
    def _program_can_be_read(self) -> Self:
        check_listing(self.code)
        if bool(self.cases) == (self.prints is not None):
            raise FieldProblem(("prints",), "give either 'prints', or 'cases', each with its values and what it prints")
        told: list[tuple[tuple[str | int, ...], str]] = [
            (("cases", number, "prints"), case.prints) for number, case in enumerate(self.cases)
        ]
        for path, prints in told or [(("prints",), self.prints or "")]:
            if not normal(prints):
                raise FieldProblem(path, "the program has to print something")
            if "|" in prints and "\n" in prints.strip():
                raise FieldProblem(path, "| separates lines where the answer is typed: print another sign")
        if self.cases:
            if len({tuple(normal(case.prints)) for case in self.cases}) == 1:
                raise FieldProblem(("cases",), "give two cases or more that print different things")
            if len({tuple(sorted(case.values)) for case in self.cases}) > 1:
                raise FieldProblem(("cases",), "every case sets the same variables")
        return self

    @override
    def draw(self, random: Random) -> Printed:
        return self.ask(random.randrange(len(self.cases)) if self.cases else None)

    def ask(self, number: int | None) -> Printed:
        """Return the question with the values of case ``number``."""
        case = None if number is None else self.cases[number]
        code = self.program(number)
        return Printed(
            id=self.id,
            kind=self.kind,
            text={lang: f"{text.rstrip()}\n\n{listing(code)}" for lang, text in self.text.items()},
            explanation=self.explanation,
            source=self.source,
            section=self.section,
            prints=case.prints if case else self.prints or "",
        )

    def program(self, number: int | None) -> str:
        """Return the listing with the values of case ``number``, which stand below its imports."""
        lines = self.code.strip("\n").splitlines()
        if number is None:
            return "\n".join(lines)
        imports = 0
        for node in ast.parse(self.code.strip("\n")).body:
            if not isinstance(node, ast.Import | ast.ImportFrom):
                break
            imports = node.end_lineno or 0
        values = [f"{name} = {value!r}" for name, value in self.cases[number].values.items()]
        return "\n".join([*lines[:imports], *values, *lines[imports:]])


class Printed(Asked):
    """A program as it is asked about."""

    prints: str

    @override
    def expects(self) -> Message:
        return Message("what it prints; | between lines")

    @override
    def read(self, given: Any) -> str:
        if not isinstance(given, str | int | float | list) or len(text := str(given)) > LONGEST_PRINT:
            raise NotAnAnswer(Message("{given} is no text that a program prints.", given=quoted(given)))
        if not text.strip():
            raise NotAnAnswer(Message("There is nothing in that."))
        return text.strip()

    @override
    def is_right(self, answer: Answer) -> bool:
        return same_print(str(answer), self.prints)

    @override
    def right_answer(self) -> str:
        return self.prints.strip()

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        return " | ".join(str(answer).strip().splitlines())


class FaultyLine(Asked):
    """One line of a listing is wrong: which? The answer is its number; the file gives its text."""

    code: str = Field(description="a listing of Python, shown with the numbers of its lines")
    answer: str = Field(description="the wrong line, as it stands in the listing")
    right: str = Field(description="what should stand there; shown afterwards")
    also: tuple[str, ...] = Field((), description="other lines whose numbers are accepted")

    @model_validator(mode="after")
    def _lines_are_in_the_listing(self) -> Self:
        check_listing(self.code)
        lines = self._lines()
        if sum(bool(line) for line in lines) < FEWEST_LINES:
            raise FieldProblem(("code",), f"show {FEWEST_LINES} lines or more: a guess finds one of few")
        for path, text in ((("answer",), self.answer), *((("also", n), text) for n, text in enumerate(self.also))):
            if (times := lines.count(text.strip())) != 1:
                told = "is not in the listing" if not times else f"is in the listing {times} times"
                raise FieldProblem(path, f"{text.strip()!r} {told}: give one line, word for word")
        if self.right.strip() in (self.answer.strip(), ""):
            raise FieldProblem(("right",), "say what should stand there instead of the wrong line")
        try:
            ast.parse(self.mended())
        except (SyntaxError, ValueError) as error:
            raise FieldProblem(("right",), f"with this line the listing is no Python: {error}") from error
        return self

    @override
    def draw(self, random: Random) -> FaultyLine:
        code = self.code.strip("\n").splitlines()
        places = len(str(len(code)))
        shown = listing("\n".join(f"{n:>{places}}  {line}".rstrip() for n, line in enumerate(code, start=1)))
        change = listing(f"- {self.answer.strip()}\n" + "\n".join(f"+ {x}" for x in self._right_lines()), "diff")
        return self.model_copy(
            update={
                "text": {lang: f"{text.rstrip()}\n\n{shown}" for lang, text in self.text.items()},
                "explanation": {lang: f"{change}\n{text}" for lang, text in self.explanation.items()},
            }
        )

    @override
    def expects(self) -> Message:
        return Message("the number of a line, 1 to {last}", last=len(self._lines()))

    @override
    def read(self, given: Any) -> str:
        lines = self._lines()
        typed = unicodedata.normalize("NFKC", str(given)).strip() if isinstance(given, str | int) else ""
        number = int(typed) if re.fullmatch(r"[0-9]{1,4}", typed) and not isinstance(given, bool) else 0
        if typed and not number and lines.count(typed) == 1:
            return typed
        if not 1 <= number <= len(lines):
            raise NotAnAnswer(
                Message("{given} is no number of a line; there are 1 to {last}.", given=quoted(given), last=len(lines))
            )
        if not lines[number - 1]:
            raise NotAnAnswer(Message("Line {number} is empty.", number=number))
        return lines[number - 1]

    @override
    def is_right(self, answer: Answer) -> bool:
        return answer in (self.answer.strip(), *(text.strip() for text in self.also))

    @override
    def right_answer(self) -> str:
        return self.answer.strip()

    @override
    def shown(self, answer: Answer, lang: str) -> str:
        lines = self._lines()
        return f"{lines.index(str(answer)) + 1}  {answer}" if str(answer) in lines else str(answer)

    def mended(self) -> str:
        """Return the listing with the right line."""
        code = self.code.strip("\n").splitlines()
        at = self._lines().index(self.answer.strip())
        indent = code[at][: len(code[at]) - len(code[at].lstrip())]
        return "\n".join([*code[:at], *(indent + line for line in self._right_lines()), *code[at + 1 :]])

    def _right_lines(self) -> list[str]:
        return self.right.strip().splitlines()

    def _lines(self) -> list[str]:
        return [line.strip() for line in self.code.strip("\n").splitlines()]


def check_listing(code: str) -> None:
    """Raise FieldProblem unless ``code`` is Python, and short enough to be read on a screen."""
    if len(code.strip("\n").splitlines()) > LONGEST:
        raise FieldProblem(("code",), f"longer than {LONGEST} lines")
    if "```" in code:
        raise FieldProblem(("code",), "``` would end the listing")
    try:
        ast.parse(code.strip("\n"))
    except (SyntaxError, ValueError) as error:
        raise FieldProblem(("code",), f"it is no Python: {error}") from error


def same_print(answer: str, prints: str) -> bool:
    """Whether two prints are the same but for blanks at the ends, blanks at brackets and commas, and 0.50 for 0.5."""
    return normal(answer if "|" in prints else answer.replace("|", "\n")) == normal(prints)


def normal(printed: str) -> list[str]:
    """Return the lines of a print in the form in which prints are compared."""
    text = unicodedata.normalize("NFKC", printed).replace("\N{MINUS SIGN}", "-").replace("\\n", "\n")
    lines = [_NUMBER.sub(_plain, _AROUND.sub(r"\1", " ".join(line.split()))) for line in text.strip().splitlines()]
    return [line for line in lines if line] if any(lines) else []


def _plain(found: re.Match[str]) -> str:
    try:
        number = Decimal(found[0])
    except InvalidOperation:
        return found[0]
    return f"{number.normalize() + 0:f}" if abs(number.adjusted()) < 400 else found[0]
