"""``learn quiz``."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any

import click

from groundup.cli.context import (
    TechniqueName,
    WholeNumber,
    find_workspace,
    json_option,
    lang_option,
    language,
    open_state,
    print_json,
    registry,
    roadmap_of,
    say,
    stop_at_a_broken_one,
    technique_named,
)
from groundup.cli.course import show_what_follows
from groundup.cli.layout import passage, wrapped
from groundup.cli.names import called
from groundup.cli.parameters import InputFile
from groundup.cli.quiz_outcome import heading, show_outcome, show_summary
from groundup.cli.words import told, tr
from groundup.core.errors import EXIT_FELL_SHORT, EXIT_HELD, UsageProblem
from groundup.core.messages import GAP, Message

if TYPE_CHECKING:
    from groundup.core.quiz.question import Asked
    from groundup.core.technique import Day, Technique
    from groundup.grader.learner.quiz import Quiz, Review, Sitting
    from groundup.grader.learner.records import Confidence
    from groundup.grader.learner.state import State
    from groundup.grader.learner.workspace import Workspace

LEVELS: dict[str, Confidence] = {"1": "guess", "2": "unsure", "3": "sure"}
STOPPED = 130  # a shell's exit code for a command ended by Ctrl-C


@click.command("quiz", short_help="Answer questions on a technique or a day, with fresh numbers each time.")
@click.argument("name", metavar="TECHNIQUE|DAY", type=TechniqueName(days=True))
@click.option("--answers", "file", type=InputFile("rb"), metavar="FILE", help="Answer from a YAML or JSON file.")
@click.option("--sheet", is_flag=True, help="Print the questions as such a file, to be filled in.")
@click.option("--seed", type=WholeNumber(0, 2**63 - 1), metavar="N", help="Draw the numbers of an earlier quiz again.")
@click.option("--fresh", is_flag=True, help="Begin anew, even where a quiz is half finished.")
@click.option("--confidence", is_flag=True, help="Say before each answer how sure you are, and see how well it fits.")
@json_option
@lang_option
def command(
    name: str,
    file: IO[bytes] | None,
    sheet: bool,
    seed: int | None,
    fresh: bool,
    confidence: bool,
    as_json: bool,
    lang: str | None,
) -> None:
    """Answer questions on a technique, or on all techniques of a day, and be told why after each.

    Options are shuffled and numbers drawn anew each time. Each answer is saved at once: stop with Ctrl-C whenever you
    like, and the same command continues from there. After invalid input the question is asked again; that does not
    count. An answer that is right in part earns points in part.

    \b
    learn quiz kv-cache
    learn quiz kv-cache --confidence               how sure are you, and how often were you right then?
    learn quiz kv-cache --seed 7                   the same numbers and the same order again
    learn quiz kv-cache --sheet > answers.yaml     all questions, to be answered in a file
    learn quiz kv-cache --answers answers.yaml
    learn quiz day-3                               the quiz of each technique of that day but electives

    Exit codes: 0 all right, 1 not all, 2 not understood, 130 stopped half way.
    """
    if confidence and (file or sheet):
        raise UsageProblem("--confidence is for a quiz that is asked here.")
    if sheet and (file or as_json or fresh):
        raise UsageProblem("--sheet goes with --seed and --lang only.")
    if file and fresh:
        raise UsageProblem("--fresh is for a quiz that is asked here; --answers begins anew by itself.")
    from groundup.grader.learner.quiz import answer_sheet

    lang, workspace = language(lang), find_workspace()
    if re.fullmatch(r"day-\d+", name):
        if file or sheet:
            raise UsageProblem("--answers and --sheet go with a technique, not with a day.")
        reviews = _ask_day(name, workspace, seed, (fresh, confidence), lang, as_json)
    else:
        technique = technique_named(name)
        quiz = _quiz_on(technique)
        if sheet:
            click.echo(answer_sheet(quiz, secrets.randbelow(10**6) if seed is None else seed, lang, told), nl=False)
            return
        with ExitStack() as stack:
            state = stack.enter_context(open_state(workspace)) if workspace else None
            if file:
                sitting = _hand_in(quiz, file, seed, state, lang, as_json)
            else:
                sitting = _sit(quiz, technique, state, seed, (fresh, confidence), lang, as_json)
        reviews = [sitting.review(lang)]
        if as_json:
            print_json(reviews[0].model_dump(mode="json"))
        elif sitting.handed_in:
            show_summary(reviews[0], technique, lang)
            if workspace:
                show_what_follows(workspace, technique)
    if not all(review.finished for review in reviews):
        raise SystemExit(STOPPED)
    raise SystemExit(EXIT_HELD if all(review.right == review.total for review in reviews) else EXIT_FELL_SHORT)


def _ask_day(
    name: str, workspace: Workspace | None, seed: int | None, options: tuple[bool, bool], lang: str, as_json: bool
) -> list[Review]:
    """Ask the quizzes of a day from the first on whose last sitting is not finished, or else all; return the reviews.

    ``options`` as in ``_sit``: a fresh one begins with the first quiz.
    """
    day = registry().day(name, roadmap_of(workspace).id)
    techniques = _techniques_of(day)
    reviews: list[Review] = []
    click.echo(click.style(name, bold=True) + f"  {say(day.title, lang)}", err=as_json)
    for technique in _from_the_first_open(techniques, workspace, fresh=options[0]):
        click.echo(err=as_json)
        with ExitStack() as stack:
            state = stack.enter_context(open_state(workspace)) if workspace else None
            sitting = _sit(_quiz_on(technique), technique, state, seed, options, lang, as_json, name)
        reviews.append(sitting.review(lang))
        if not sitting.handed_in:
            break
        if not as_json:
            show_summary(reviews[-1], technique, lang)
    right, total = sum(review.right for review in reviews), sum(review.total for review in reviews)
    if as_json:
        asked = [review.model_dump(mode="json") for review in reviews]
        print_json({"day": name, "right": right, "total": total, "quizzes": asked})
    elif len(techniques) > 1 and reviews[-1].finished:
        click.echo(
            "\n" + click.style(tr("{day}: {right} of {total} right.", day=name, right=right, total=total), bold=True)
        )
        if workspace:
            show_what_follows(workspace, techniques[-1])
    return reviews


def _techniques_of(day: Day) -> list[Technique]:
    """Return the techniques whose quizzes ``day`` names, or else all of the day but electives, if they are written."""
    if day.quiz:
        return [technique_named(name) for name in ([day.quiz] if isinstance(day.quiz, str) else day.quiz)]
    stop_at_a_broken_one(day.techniques)
    written = registry().techniques
    there = [written[i] for i in day.techniques if i in written and i not in day.elective]
    if asked := [technique for technique in there if technique.files.quiz.is_file()]:
        return asked
    raise UsageProblem(
        "There is no quiz on {id} yet. There are quizzes on {names}.", id=day.name, names=_with_quizzes()
    )


def _from_the_first_open(techniques: list[Technique], workspace: Workspace | None, *, fresh: bool) -> list[Technique]:
    if workspace and not fresh:
        with open_state(workspace) as state:
            for number, technique in enumerate(techniques):
                last = next(iter(state.quizzes(technique.id)), None)
                if last is None or last.status == "open":
                    return techniques[number:]
    return techniques


def _hand_in(quiz: Quiz, file: IO[bytes], seed: int | None, state: State | None, lang: str, as_json: bool) -> Sitting:
    """Mark the answers of a file, and show how each fared."""
    from groundup.grader.learner.quiz import Sitting, read_answers

    seed, answers = read_answers(file.name, file.read(), quiz, seed)
    sitting = Sitting.hand_in(quiz, seed, answers, state)
    if not as_json:
        for number, reviewed in enumerate(sitting.review(lang).questions, start=1):
            click.echo(f"\n{heading(number, len(quiz.questions), reviewed.text)}")
            show_outcome(reviewed, lang)
    return sitting


def _with_quizzes() -> str:
    return ", ".join(sorted(t.name for t in registry().techniques.values() if t.files.quiz.is_file()))


def _quiz_on(technique: Technique) -> Quiz:
    from groundup.grader.learner.quiz import question_kinds, read_quiz

    if not technique.files.quiz.is_file():
        there = _with_quizzes()
        raise UsageProblem("There is no quiz on {id} yet. There are quizzes on {names}.", id=technique.id, names=there)
    kinds, problems = question_kinds(registry())
    for problem in problems:
        click.echo(f"learn: {told(problem.message)}", err=True)
    return read_quiz(technique, kinds)


def _sit(
    quiz: Quiz,
    technique: Technique,
    state: State | None,
    seed: int | None,
    options: tuple[bool, bool],
    lang: str,
    as_json: bool,
    name: str | None = None,
) -> Sitting:
    """Ask the open questions until all are answered or the learner stops; with ``as_json``, on stderr.

    ``options``: whether to begin anew, and whether to ask how sure the learner is. ``name`` is what the learner typed.
    """
    from groundup.grader.learner.quiz import Sitting

    fresh, confidence = options
    half = next((r for r in state.quizzes(technique.id) if r.status == "open"), None) if state and not fresh else None
    changed = half is not None and half.sha256 != quiz.sha256
    resumed = half is not None and not changed and seed in (None, half.seed)
    sitting = Sitting.resume(quiz, half, state) if half and resumed else Sitting.begin(quiz, seed, state)
    total = len(quiz.questions)
    head = [
        tr("{total} questions, seed {seed}.", total=total, seed=sitting.seed),
        tr("Answers are kept in your workspace.")
        if state
        else tr("There is no workspace here, so nothing is recorded."),
    ]
    if half and not resumed:
        head.append(
            tr("The quiz has changed since you began it, so it begins anew.")
            if changed
            else tr("The half-finished one of seed {seed} is given up.", seed=half.seed)
        )
    if resumed:
        again = f"{called()} quiz {technique.name} --fresh"
        head.append(
            tr(
                "You go on where you stopped: {answered} of {total} are answered. '{again}' begins anew.",
                answered=len(sitting.answers),
                total=total,
                again=again,
            )
        )
    click.echo(click.style(technique.id, bold=True) + f"  {say(technique.title, lang)}", err=as_json)
    click.echo(wrapped(told(GAP).join(head)), err=as_json)
    try:
        for number, question in sitting.open_questions:
            click.echo(f"\n{heading(number, total, say(question.text, lang))}", err=as_json)
            _ask(sitting, question, lang, as_json, confidence)
    except (click.Abort, KeyboardInterrupt):
        again = f"{called()} quiz {name or technique.name}"
        answered = len(sitting.answers)
        stopped = (
            tr(
                "Stopped with {answered} of {total} answered; those are kept. '{command}' goes on from there.",
                answered=answered,
                total=total,
                command=again,
            )
            if state
            else tr(
                "Stopped with {answered} of {total} answered. Without a workspace nothing is kept.",
                answered=answered,
                total=total,
            )
        )
        click.echo(f"\n\n{wrapped(stopped)}", err=True)
    else:
        sitting.finish()
    return sitting


def _ask(sitting: Sitting, question: Asked, lang: str, as_json: bool, confidence: bool) -> None:
    choices = question.choices()
    numbered = False
    for letter, text in choices.items():
        if letter.isdigit() != numbered or letter in ("1", "A"):
            click.echo(err=as_json)
            numbered = letter.isdigit()
        click.echo(wrapped(say(text, lang), first=f"  {letter}  "), err=as_json)
    click.echo(err=as_json)
    sure: Confidence | None = None
    if confidence and not question.by_oneself():
        sure = LEVELS[_until_read(_level, tr("How sure are you? 1 a guess, 2 unsure, 3 sure"), lang, as_json)]
    prompt = tr("Your answer ({expects})", expects=told(say(question.expects(), lang)))
    answer = _until_read(question.read, prompt, lang, as_json)
    if question.by_oneself():
        answer = _marked(question, answer, lang, as_json)
    sitting.answer(question, answer, sure)
    reviewed = next(r for r in sitting.review(lang).questions if r.id == question.id)
    show_outcome(reviewed, lang, err=as_json)


def _marked(question: Asked, answer: Any, lang: str, as_json: bool) -> Any:
    """Show the points and a model answer; return the answer with the points that the learner says are met."""
    click.echo("\n  " + tr("A good answer:"), err=as_json)
    click.echo(passage(question.shown(question.right_answer(), lang), first="    "), err=as_json)
    click.echo("\n  " + tr("Points that it makes:"), err=as_json)
    for number, point in enumerate(question.by_oneself(), start=1):
        click.echo(wrapped(say(point, lang), first=f"    {number}  "), err=as_json)
    click.echo(err=as_json)
    prompt = tr("Which points are in yours? Numbers as in 1 3, or 0 for none")
    return _until_read(lambda typed: question.read({**answer, "points": typed}), prompt, lang, as_json)


def _until_read(read: Callable[[str], Any], prompt: str, lang: str, as_json: bool) -> Any:
    """Ask until what is typed can be read."""
    from groundup.core.quiz.question import NotAnAnswer

    while True:
        typed: str = click.prompt(prompt, default="", show_default=False, prompt_suffix=": ", err=as_json)
        try:
            if not typed.strip():
                raise NotAnAnswer(Message("Nothing was typed."))
            return read(typed)
        except NotAnAnswer as reason:
            refusal = [told(say(reason.says, lang)), tr("That does not count.")]
            click.echo(wrapped(told(GAP).join(refusal), first="  "), err=as_json)


def _level(typed: str) -> str:
    from groundup.core.quiz.question import NotAnAnswer

    if (level := typed.strip()) not in LEVELS:
        raise NotAnAnswer(Message("{given} is none of 1, 2 and 3.", given=repr(level[:20])))
    return level
