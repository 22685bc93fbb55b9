"""Part of the rule ``quiz``: what the kinds symbolic, output, matching, multiple and estimate have to fulfil.

What can be seen without running anything, such as that a line is in its listing, is checked when the file is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.quiz.arithmetic import Formula
from groundup.core.quiz.choice_question import Multiple
from groundup.core.quiz.code_question import Output, normal, same_print
from groundup.core.quiz.decimals import DECIMALS, same
from groundup.core.quiz.matching_question import Matching
from groundup.core.quiz.question import Question
from groundup.core.quiz.symbolic_question import Symbolic
from groundup.core.technique import say

__all__ = ["NEWER", "by_length", "check_kind", "check_prints"]

NEWER = ("symbolic", "output", "line", "matching", "estimate")
FEWEST_WRONG = 2
FEWEST_POINTS = 10  # at which a wrong formula has another value than the right one
PROGRAM_SECONDS = 2.0  # of CPU time: a question's program is a few lines
MOST_BY_LENGTH = 0.5  # credit of a learner who pairs items by their lengths


def check_kind(question: Question) -> Iterator[str]:
    """Yield what is wrong with a question, without running any code."""
    match question:
        case Symbolic():
            yield from _formulas(question)
        case Matching():
            yield from _lengths(question)
        case Multiple() if len(question.answer) == len(question.options):
            yield "all its options are right, so whoever takes all is right: add a wrong one"


def check_prints(questions: Sequence[Output], told: Callable[[Output], str], runner: CodeRunner) -> Iterator[str]:
    """Run every program with each of its cases, and yield where it prints something else than the file says."""
    for question in questions:
        for number in range(len(question.cases)) if question.cases else [None]:
            values = "" if number is None else f" with {_listed(question.cases[number].values)}"
            expected = question.prints if number is None else question.cases[number].prints
            first = runner.run(question.program(number), seconds=PROGRAM_SECONDS)
            if first.outcome != "ended":
                yield f"{told(question)}: the program{values} does not end as it should: {first.error}"
                continue
            again = runner.run(question.program(number), seconds=PROGRAM_SECONDS)
            printed, next_time = first.printed.strip(), again.printed.strip()
            if normal(printed) != normal(next_time):
                yield f"{told(question)}: the program{values} prints {printed!r}, and the next time {next_time!r}"
            elif not same_print(printed, str(expected)):
                yield f"{told(question)}: the program{values} prints {printed!r}, and the file says {expected!r}"


def by_length(question: Matching, lang: str) -> float:
    """Return the credit of pairing the longest on the left with the longest on the right, and so on."""
    left = sorted(question.pairs, key=lambda key: (len(say(question.pairs[key].left, lang)), key))
    right = sorted(question.pairs, key=lambda key: (len(say(question.pairs[key].right, lang)), key[::-1]))
    return question.credit([f"{a}={b}" for a, b in zip(left, right, strict=True)])


def _formulas(question: Symbolic) -> Iterator[str]:
    if len(question.wrong) < FEWEST_WRONG:
        yield (
            f"it lists {len(question.wrong)} wrong formulas: list {FEWEST_WRONG} or more that learners use by mistake, "
            "wrong: [formula, formula]"
        )
    seen: list[str] = []
    for text in question.wrong:
        points, apart = [], 0
        for values, right in question.points:
            try:
                points.append((values, Formula(text).value(values, DECIMALS)))
                apart += not same(Formula(text), [(values, right)])
            except ValueError:
                apart += 1
        if apart < FEWEST_POINTS:
            yield (
                f"the wrong formula {text!r} differs from the right one at {apart} of {len(question.points)} points: "
                "choose ranges in which they differ more often"
            )
        for other in seen:
            if len(points) == len(question.points) and same(Formula(other), points):
                yield f"the wrong formulas {other!r} and {text!r} are the same: replace one of them"
        seen.append(text)
    answer = question.answer.replace(" ", "")
    for lang, said in question.text.items():
        if len(question.variables) < len(answer) and answer in said.replace(" ", ""):
            yield f"its text ({lang}) contains the answer, {question.answer}: ask for another formula"


def _lengths(question: Matching) -> Iterator[str]:
    for lang in sorted({lang for pair in question.pairs.values() for lang in pair.right}):
        if (credit := by_length(question, lang)) > MOST_BY_LENGTH:
            yield (
                f"whoever pairs the items by their lengths ({lang}) has a credit of {credit:.2g}: no more than "
                f"{MOST_BY_LENGTH:g} is accepted; shorten some, or say more in others"
            )
        lengths = [len(say(pair.right, lang)) for pair in question.pairs.values()]
        decoys = [len(say(text, lang)) for text in question.decoys.values()]
        if len(decoys) > 1 and (max(decoys) < min(lengths) or min(decoys) > max(lengths)):
            what = "shorter" if max(decoys) < min(lengths) else "longer"
            yield f"every decoy is {what} ({lang}) than every right item: that gives them away"


def _listed(values: dict[str, object]) -> str:
    return ", ".join(f"{name} = {value!r}" for name, value in values.items())
