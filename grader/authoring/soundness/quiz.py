"""Rule: the quiz can be read, its answers are right, and neither its numbers nor its options give an answer away.

Of a built-in quiz: 10 questions or more, a third of them parametric, and two or more of the newer kinds. Of every quiz:

- Answers are worked out a second time: see ``quiz_answers``. Programs whose print is asked for are run in the jail.
- A symbolic question lists two wrong formulas or more, and no two of them are the same: see ``quiz_kinds``.
- A parametric question lists two wrong formulas or more, and has 8 different answers or more over its draws.
- A number in three figures is accepted. Twice the answer, half of it and its opposite are mostly not, and bytes counted
  in powers of 1000 for powers of 1024, or the other way round, never are. The text rarely contains the answer.
- The length of an option gives nothing away, in each language. A learner who guesses is right in the sum of
  1 / (number of options) over the single-choice questions. One who always takes the longest option may be right in one
  question more than that, and so may one who always takes the shortest. If several options are equally long, the right
  one counts by its share.
- A section that a question refers to is in the lesson.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.quiz.choice_question import Single
from groundup.core.quiz.code_question import Output
from groundup.core.quiz.estimate_question import Estimate
from groundup.core.quiz.number_question import Number, Numeric, Parametric
from groundup.core.quiz.question import Question
from groundup.core.registry import Registry
from groundup.core.technique import Technique, say
from groundup.grader.authoring.soundness.places import Found, built_in, question_at
from groundup.grader.authoring.soundness.quiz_answers import DRAWS, compare_answers, drawn, told
from groundup.grader.authoring.soundness.quiz_kinds import NEWER, check_kind, check_prints
from groundup.grader.learner.quiz import question_kinds, read_quiz
from groundup.grader.process.code_runner import JailedRunner
from groundup.grader.process.fork_server import ForkServer

FEWEST_QUESTIONS = 10
FEWEST_NEWER = 2  # kinds
FEWEST_WRONG = 2  # wrong formulas of a parametric question
FEWEST_ANSWERS = 8  # different ones over the draws of a parametric question
SELDOM = DRAWS // 5  # draws
MORE_THAN_CHANCE = 1.0  # question
PREFIXES = {f"{prefix}B": n for n, prefix in enumerate("kMGT", start=1)}
BINARY_PREFIXES = {f"{prefix}iB": n for n, prefix in enumerate("KMGT", start=1)}


def check(technique: Technique, registry: Registry, server: ForkServer | None = None) -> Found:
    """Find errors in the quiz. Raises PluginProblem with file and line if it cannot be read.

    ``server`` runs the programs that questions show, by default one of its own.
    """
    path = technique.files.quiz
    if not path.is_file():
        return "", [f"there is no quiz: expected it at {path}"]
    questions = read_quiz(technique, kinds(registry)).questions
    problems = [*_sections(technique, questions), *_lengths(technique, questions)]
    if built_in(technique):
        problems += _enough(technique, questions)
    for question in questions:
        if isinstance(question, Parametric):
            draws = list(drawn(question))
            found = [*_wrong_formulas(question), *_answers(draws), *_numbers(draws)]
        elif isinstance(question, Numeric):
            found = [*_numbers([({}, question)])]
        elif isinstance(question, Estimate):
            found = [*_told([({}, question)])]
        else:
            found = [*check_kind(question)]
        problems += [f"{question_at(technique, question)}: {problem}" for problem in found]
    compared, disagreements = compare_answers(technique, questions)
    detail = f"{len(questions)} questions"
    if compared:
        detail += f", {compared} worked out in another way for {DRAWS} draws"
    problems += disagreements
    if programs := [question for question in questions if isinstance(question, Output)]:
        detail += f", {len(programs)} run"
        with ExitStack() as stack:
            runner: CodeRunner = JailedRunner(server or stack.enter_context(ForkServer()))
            problems += check_prints(programs, lambda question: question_at(technique, question), runner)
    return detail, problems


def kinds(registry: Registry) -> dict[str, type[Question]]:
    """Return the available kinds of question. Plugins with broken kinds are reported when they are loaded."""
    return question_kinds(registry)[0]


def _enough(technique: Technique, questions: Sequence[Question]) -> Iterator[str]:
    path, count = technique.files.quiz, len(questions)
    if count < FEWEST_QUESTIONS:
        yield f"{path}:1: there are {count} questions: write {FEWEST_QUESTIONS - count} more"
    newer = {q.kind for q in questions} & set(NEWER)
    if len(newer) < FEWEST_NEWER:
        yield (
            f"{path}:1: {len(newer)} of the newer kinds {', '.join(NEWER)} are in it: write questions of "
            f"{FEWEST_NEWER} or more of them"
        )
    parametric = sum(q.kind == "parametric" for q in questions)
    if 3 * parametric < count:
        yield f"{path}:1: {parametric} of {count} questions are parametric: draw the numbers of more, up to a third"


def _sections(technique: Technique, questions: Sequence[Question]) -> Iterator[str]:
    for question in questions:
        for lang, heading in (question.section or {}).items():
            lesson = technique.files.lesson(lang)
            if f"## {heading}" not in lesson.read_text(encoding="utf-8").splitlines():
                at = question_at(technique, question)
                yield f"{at}: no section '## {heading}' in {lesson}: name one of its headings"


def _lengths(technique: Technique, questions: Sequence[Question]) -> Iterator[str]:
    single = [q for q in questions if isinstance(q, Single)]
    by_chance = sum(1 / len(q.options) for q in single)
    for lang in sorted({lang for q in single for text in q.options.values() for lang in text}):
        for name, extreme, advice in (
            ("longest", max, "shorten the right ones, or say more in wrong ones"),
            ("shortest", min, "say more in the right ones, or shorten wrong ones"),
        ):
            shares = {q.id: _share(q, lang, extreme) for q in single}
            if sum(shares.values()) > by_chance + MORE_THAN_CHANCE + 1e-9:
                those = [q for q in single if shares[q.id]]
                yield (
                    f"{question_at(technique, those[0])}: whoever takes the {name} option ({lang}) is right in "
                    f"{sum(shares.values()):.3g} of {len(single)} questions, and by chance in {by_chance:.3g}; no more "
                    f"than one question above that is accepted: {advice} ({', '.join(q.id for q in those)})"
                )


def _share(question: Single, lang: str, extreme: Callable[[Iterable[int]], int]) -> float:
    """Return the probability that a random one of the longest (or shortest) options is the right one."""
    lengths = {key: len(say(text, lang)) for key, text in question.options.items()}
    at_the_end = [key for key, length in lengths.items() if length == extreme(lengths.values())]
    return (question.answer in at_the_end) / len(at_the_end)


def _wrong_formulas(question: Parametric) -> Iterator[str]:
    if len(question.wrong) < FEWEST_WRONG:
        yield (
            f"it lists {len(question.wrong)} wrong formulas: list {FEWEST_WRONG} or more that learners use by mistake, "
            "wrong: [formula, formula]"
        )
    seen: dict[tuple[float, ...], str] = {}
    known = [question.known(values) for values, _ in drawn(question)]
    for mistake in question.mistakes:
        results = tuple(round(mistake(numbers), 9) for numbers in known)
        same = seen.setdefault(results, mistake.text)
        if same is not mistake.text:
            yield f"the wrong formulas {same!r} and {mistake.text!r} always give the same: replace one of them"


def _answers(draws: Sequence[tuple[dict[str, float], Numeric]]) -> Iterator[str]:
    different = len({round(asked.answer, 9) for _, asked in draws})
    if different < FEWEST_ANSWERS:
        yield (
            f"over {DRAWS} draws it has {different} different answers: give its parameters more values, so that there "
            f"are {FEWEST_ANSWERS} or more"
        )


def _numbers(draws: Sequence[tuple[dict[str, float], Numeric]]) -> Iterator[str]:
    """Check what is accepted as an answer."""
    yield from _three_figures(draws)
    for what, factor in (("twice", 2.0), ("half", 0.5), ("the opposite of", -1.0)):
        accepted = sum(asked.is_right(factor * asked.answer) for _, asked in draws)
        if _often(accepted, draws):
            yield (
                f"{what} the answer is accepted{_times(accepted, draws)}: narrow the tolerance, or choose numbers "
                "that make the answer larger"
            )
    yield from _units(draws)
    yield from _told(draws)


def _told(draws: Sequence[tuple[dict[str, float], Number]]) -> Iterator[str]:
    """Check that the text does not contain the answer."""
    for lang in draws[0][1].text:
        telling = [(values, asked) for values, asked in draws if _tells(asked, lang)]
        if _often(len(telling), draws):
            values, asked = telling[0]
            yield (
                f"its text ({lang}) contains the answer, {asked.shown(asked.answer, lang)}"
                f"{_times(len(telling), draws)}{_with(values)}: ask for another number, or choose other ones"
            )


def _three_figures(draws: Sequence[tuple[dict[str, float], Numeric]]) -> Iterator[str]:
    for values, asked in draws:
        whole = float(asked.answer).is_integer()
        typed = str(int(asked.answer)) if whole else f"{asked.answer:.3g}"
        for given in (typed, asked.shown(asked.answer, "en")):
            if not asked.is_right(asked.read(given)):
                yield (
                    f"the answer is {asked.answer:g}{_with(values)}, and {given!r} is not accepted: widen the "
                    "tolerance, so that three figures are enough"
                )
                return


def _units(draws: Sequence[tuple[dict[str, float], Numeric]]) -> Iterator[str]:
    unit = say(draws[0][1].unit or {"en": ""}, "en")
    if unit in PREFIXES:
        other, factor = f"{unit[0].upper()}iB", 1.024 ** -PREFIXES[unit]
    elif unit in BINARY_PREFIXES:
        other, factor = unit.replace("i", "").replace("K", "k"), 1.024 ** BINARY_PREFIXES[unit]
    else:
        return
    for values, asked in draws:
        if asked.answer and asked.is_right(asked.answer * factor):
            yield (
                f"the answer is {asked.answer:g} {unit}{_with(values)}, and its number of {other}, "
                f"{asked.answer * factor:g}, is accepted as well: narrow the tolerance"
            )
            return


def _tells(asked: Number, lang: str) -> bool:
    """Whether the answer's number stands in the text."""
    number = asked.model_copy(update={"unit": None}).shown(asked.answer, lang)
    return bool(re.search(rf"(?<![\d.,-]){re.escape(number)}(?!\d|[.,]\d)", asked.text[lang]))


def _often(times: int, draws: Sequence[object]) -> bool:
    return times > (SELDOM if len(draws) > 1 else 0)


def _times(times: int, draws: Sequence[object]) -> str:
    return f" in {times} of {len(draws)} draws" if len(draws) > 1 else ""


def _with(values: dict[str, float]) -> str:
    return f" with {told(values)}" if values else ""
