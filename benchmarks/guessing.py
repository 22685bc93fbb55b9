"""What a quiz gives away by its form: by the length and place of options, and by draws that accept a mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from random import Random

from groundup.core.quiz.choice_question import Single
from groundup.core.quiz.number_question import Parametric
from groundup.core.quiz.question import Question
from groundup.core.registry import Registry
from groundup.core.technique import Technique, say
from groundup.grader.authoring.soundness.quiz import kinds
from groundup.grader.learner.quiz import read_quiz

DRAWS = 1000


def guessing(techniques: Iterable[Technique]) -> Iterator[str]:
    """Yield a table, line by line.

    Of single-choice questions: the share answered by guessing, and by always taking the shortest, the longest and the
    first option; the larger one of both languages. Of parametric questions: the share of draws in which a listed wrong
    formula passes, of all values that could be drawn and of those that are asked.
    """
    yield "| quiz | questions | single | by chance | shortest | longest | first | a mistake passes: any draw | asked |"
    yield "|---" * 9 + "|"
    known = kinds(Registry())
    together: list[Question] = []
    for technique in techniques:
        if technique.files.quiz.is_file():
            questions = read_quiz(technique, known).questions
            together += questions
            yield _row(technique.name, questions)
    yield _row("all", together)


def _row(name: str, questions: Sequence[Question]) -> str:
    single = [q for q in questions if isinstance(q, Single)]
    asked, any_draw = (_passing(questions, drawn) for drawn in (True, False))
    cells = [
        _share(1 / len(q.options) for q in single),
        *(max(_share(_of(q, lang, end) for q in single) for lang in ("en", "zh")) for end in (min, max)),
        _share(_first(q) for q in single),
        any_draw,
        asked,
    ]
    return f"| {name} | {len(questions)} | {len(single)} | {' | '.join(f'{cell:.0%}' for cell in cells)} |"


def _share(parts: Iterable[float]) -> float:
    found = list(parts)
    return sum(found) / len(found) if found else 0.0


def _of(question: Single, lang: str, end: Callable[[Iterable[int]], int]) -> float:
    lengths = {key: len(say(text, lang)) for key, text in question.options.items()}
    those = [key for key, length in lengths.items() if length == end(lengths.values())]
    return (question.answer in those) / len(those)


def _first(question: Single) -> float:
    return _share(next(iter(question.draw(Random(seed)).options)) == question.answer for seed in range(DRAWS))


def _passing(questions: Sequence[Question], asked: bool) -> float:
    found: list[float] = []
    for question in questions:
        if isinstance(question, Parametric) and question.wrong:
            random = Random(question.id)
            for _ in range(DRAWS // 5):
                draw = {name: random.choice(values) for name, values in question.parameters.items()}
                values = question.values(random) if asked else draw
                known = question.known(values)
                found.append(any(question.tolerance.holds(f(known), known["answer"]) for f in question.mistakes))
    return _share(found)
