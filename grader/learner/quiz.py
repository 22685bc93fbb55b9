"""Quizzes: read from YAML, drawn from a seed, answered one by one or from a file, and reviewed.

A quiz depends only on its file and its seed: both together always give the same numbers in the same order.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from groundup.core.errors import PluginProblem, UsageProblem, nearest, reason_of
from groundup.core.messages import Message, joined, said_by
from groundup.core.quiz.marked_yaml import Document, Malformed, read_yaml
from groundup.core.quiz.question import Answer, Asked, FieldProblem, NotAnAnswer, Question
from groundup.core.registry import Registry
from groundup.core.technique import Source, Technique, say
from groundup.grader.learner.records import QuizRecord
from groundup.grader.learner.state import State

__all__ = [
    "Quiz",
    "Review",
    "Reviewed",
    "Sitting",
    "answer_sheet",
    "question_kinds",
    "read_answers",
    "read_quiz",
]

SEEDS = 1_000_000  # upper bound of a fresh seed, so that it is short enough to type
LARGEST_FILE = 1_000_000  # bytes; limit for an answers file
Kinds = Mapping[str, type[Question]]


@dataclass(frozen=True)
class Quiz:
    """The questions on one technique, in the order in which they are asked."""

    technique: str
    questions: tuple[Question, ...]
    sha256: str

    def drawn(self, seed: int) -> tuple[Asked, ...]:
        """Return the questions drawn from ``seed``; each question's draw is independent of the other questions."""
        return tuple(question.draw(Random(f"{seed}/{question.id}")) for question in self.questions)


class Reviewed(BaseModel):
    """One question, its given answer and its right answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    kind: str
    text: str
    choices: dict[str, str] = Field(description="by letter")
    answer: Answer | None = Field(description="None where none was given")
    answered: str | None = Field(description="the answer in words")
    right: bool
    right_answer: str | None = Field(description="None as long as the question is still open")
    explanation: str | None = Field(description="None as long as the question is still open")
    source: Source | None
    section: str | None


class Review(BaseModel):
    """The result of a quiz: the model behind the terminal output, ``--json`` and the brief."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    technique: str
    seed: int
    sha256: str = Field(description="of the quiz file")
    recorded: bool
    finished: bool
    total: int
    answered: int
    right: int
    study: tuple[str, ...] = Field(description="sections of the lesson behind what was answered wrongly")
    questions: tuple[Reviewed, ...]


@dataclass
class Sitting:
    """One learner's run through a quiz. Without a ``state`` nothing is recorded."""

    quiz: Quiz
    seed: int
    state: State | None = None
    number: int | None = None
    answers: dict[str, Answer] = field(default_factory=dict)
    handed_in: bool = False

    def __post_init__(self) -> None:
        self.questions = self.quiz.drawn(self.seed)

    @classmethod
    def begin(cls, quiz: Quiz, seed: int | None, state: State | None) -> Sitting:
        """Begin a quiz with the given seed or a fresh one."""
        seed = secrets.randbelow(SEEDS) if seed is None else seed
        number = state.begin_quiz(quiz.technique, seed, quiz.sha256, len(quiz.questions)) if state else None
        return cls(quiz, seed, state, number)

    @classmethod
    def resume(cls, quiz: Quiz, record: QuizRecord, state: State | None) -> Sitting:
        """Continue or review a recorded quiz. ``record`` must be of the same quiz file."""
        answers = {a.question: a.answer for a in record.answers}
        return cls(quiz, record.seed, state, record.number, answers, record.status == "finished")

    @classmethod
    def hand_in(cls, quiz: Quiz, seed: int, answers: Mapping[str, Answer], state: State | None) -> Sitting:
        """Answer all questions at once."""
        sitting = cls(quiz, seed, answers=dict(answers), handed_in=True)
        if state:
            given = {q.id: (answers[q.id], q.is_right(answers[q.id])) for q in sitting.questions if q.id in answers}
            sitting.number = state.record_quiz(quiz.technique, seed, quiz.sha256, len(quiz.questions), given)
        return sitting

    @property
    def open_questions(self) -> list[tuple[int, Asked]]:
        """The questions without an answer, each with its number from 1."""
        return [(n, q) for n, q in enumerate(self.questions, start=1) if q.id not in self.answers]

    def answer(self, question: Asked, answer: Answer) -> bool:
        """Record an answer and return whether it is right. The answer is on disk when this returns."""
        right = question.is_right(answer)
        if self.state and self.number is not None:
            self.state.answer_quiz(self.number, question.id, answer, right)
        self.answers[question.id] = answer
        return right

    def finish(self) -> None:
        """Record that every question has been answered."""
        if self.state and self.number is not None:
            self.state.finish_quiz(self.number)
        self.handed_in = True

    def review(self, lang: str) -> Review:
        """Return the results so far. Right answers are shown for answered questions and, once finished, for all."""
        questions = tuple(self._reviewed(question, lang) for question in self.questions)
        wrong = [r for r in questions if (r.answered or self.handed_in) and not r.right and r.section]
        return Review(
            technique=self.quiz.technique,
            seed=self.seed,
            sha256=self.quiz.sha256,
            recorded=self.number is not None,
            finished=self.handed_in,
            total=len(questions),
            answered=len(self.answers),
            right=sum(r.right for r in questions),
            study=tuple(dict.fromkeys(str(r.section) for r in wrong)),
            questions=questions,
        )

    def _reviewed(self, question: Asked, lang: str) -> Reviewed:
        answer = self.answers.get(question.id)
        told = answer is not None or self.handed_in
        return Reviewed(
            id=question.id,
            kind=question.kind,
            text=say(question.text, lang),
            choices={letter: say(text, lang) for letter, text in question.choices().items()},
            answer=answer,
            answered=None if answer is None else question.shown(answer, lang),
            right=answer is not None and question.is_right(answer),
            right_answer=question.shown(question.right_answer(), lang) if told else None,
            explanation=say(question.explanation, lang) if told else None,
            source=question.source,
            section=say(question.section, lang) if question.section else None,
        )


def question_kinds(registry: Registry) -> tuple[dict[str, type[Question]], list[PluginProblem]]:
    """Return every kind of question by name, and the problems of plugins that failed to add kinds."""
    kinds: dict[str, type[Question]] = {}

    def add(returned: Any) -> None:
        if not isinstance(returned, dict):
            raise TypeError(f"it returned {returned!r:.80}, which is no dict of kinds")
        for name, model in returned.items():
            if name in kinds:
                raise ValueError(f"there is a kind {name!r} already")
            if not (isinstance(model, type) and issubclass(model, Question)):
                raise TypeError(f"{name!r} is {model!r:.80}, which does not derive from Question")
        kinds.update(returned)

    _, problems = registry.ask("question_types", add)
    return kinds, problems


def read_quiz(technique: Technique, kinds: Kinds) -> Quiz:
    """Return the quiz on ``technique``. Raises PluginProblem with file, line and field of every error in it."""
    return read_quiz_file(technique.files.quiz, technique.id, kinds)


def read_quiz_file(file: Path, technique: str, kinds: Kinds) -> Quiz:
    """Return the quiz in ``file``. Raises PluginProblem as :func:`read_quiz` does."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise PluginProblem(
            "{technique} has no quiz that can be read at {file}: {why}",
            technique=technique,
            file=file,
            why=reason_of(error),
        ) from error
    try:
        document = _document(data)
    except Malformed as problem:
        raise PluginProblem("{file}:{line}: {problem}", file=file, line=problem.line, problem=problem) from problem
    questions: list[Question] = []
    problems = list(_check_questions(document, kinds, questions))
    if problems:
        at = [
            Message("{file}:{line}: {problem}", file=file, line=line, problem=told) for line, told in sorted(problems)
        ]
        raise PluginProblem(joined("\n", at))
    return Quiz(technique, tuple(questions), hashlib.sha256(data).hexdigest())


def read_answers(name: str, data: bytes, quiz: Quiz, seed: int | None) -> tuple[int, dict[str, Answer]]:
    """Return the seed and the answers, by question, that a YAML or JSON file gives.

    Raises UsageProblem with file, line and field of every invalid answer. An empty answer counts as not given.
    """
    if len(data) > LARGEST_FILE:
        raise UsageProblem(
            "{name} is larger than {size} bytes: that is no file of answers.",
            name=name,
            size=LARGEST_FILE,
        )
    try:
        document = _document(data)
        if not isinstance(document.value, dict):
            raise Malformed(1, Message("expected one line for each question: its id, a colon and the answer"))
    except Malformed as problem:
        raise UsageProblem("{name}:{line}: {problem}", name=name, line=problem.line, problem=problem) from problem
    given: dict[str, Any] = dict(document.value)
    seed, problems = _seed_of(given.pop("seed", None), seed)
    by_id = {q.id: q for q in quiz.questions}
    drawn = {q.id: q for q in quiz.drawn(seed or 0)}
    answers: dict[str, Answer] = {}
    for key, value in given.items():
        try:
            if key not in drawn:
                near = nearest(key, drawn)
                raise ValueError(
                    Message("no such question; did you mean {near!r}?", near=near[0])
                    if near
                    else Message("no such question")
                )
            if value is None:
                continue
            if seed is None and _depends_on_draw(by_id[key], value):
                raise ValueError(
                    Message(
                        "numbers and letters are drawn anew each time, so this answer needs the seed of its question: "
                        "give --seed, or begin the file with 'seed: N'"
                    )
                )
            answers[key] = drawn[key].read(value)
        except ValueError as problem:
            problems.append((key, said_by(problem)))
    if problems:
        at = [
            Message("{name}:{line}: {key}: {problem}", name=name, line=document.line([key]), key=key, problem=told)
            for key, told in problems
        ]
        raise UsageProblem(joined("\n", at))
    return seed or 0, answers


def answer_sheet(quiz: Quiz, seed: int, lang: str, told: Callable[[str], str] = str) -> str:
    """Return the questions as a YAML file to fill in, which :func:`read_answers` reads.

    ``told`` translates English text to ``lang``.
    """
    head = Message("an answer goes behind each colon. The seed is the one that drew these questions.")
    lines = [f"# {quiz.technique}: {told(head)}"]
    lines.append(f"seed: {seed}")
    for number, question in enumerate(quiz.drawn(seed), start=1):
        lines += ["", *(f"# {line}" for line in f"{number}. {say(question.text, lang)}".splitlines())]
        lines += [f"#    {letter}  {say(text, lang)}" for letter, text in question.choices().items()]
        lines += [f"#    ({told(say(question.expects(), lang))})", f"{question.id}:"]
    return "\n".join(lines) + "\n"


def _document(data: bytes) -> Document:
    try:
        return read_yaml(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise Malformed(line, Message("not UTF-8 (byte {at}); save it as UTF-8", at=error.start)) from error


def _check_questions(document: Document, kinds: Kinds, questions: list[Question]) -> Iterator[tuple[int, str]]:
    """Read the questions into ``questions``; yield the line and the message of each error."""
    whole = document.value
    if not isinstance(whole, dict) or set(whole) != {"questions"} or not isinstance(whole["questions"], list):
        yield 1, Message("a quiz file holds 'questions:' and under it a list, and nothing else")
        return
    seen: dict[str, int] = {}
    for place, each in enumerate(whole["questions"]):
        path: tuple[str | int, ...] = ("questions", place)
        kind = str(each.get("kind")) if isinstance(each, dict) else "None"
        if kind not in kinds:
            near = nearest(kind, kinds)
            hint = (
                Message("did you mean {near!r}?", near=near[0])
                if near
                else Message("there are {names}", names=[*kinds])
            )
            problem = Message("no kind {kind!r}; {hint}", kind=kind, hint=hint)
            yield document.line([*path, "kind"]), _at(f"{_field(path)}.kind", problem)
            continue
        try:
            question = kinds[kind].model_validate(each)
        except ValidationError as error:
            for found in error.errors():
                where, told = _complaint(dict(found), kinds[kind])
                yield document.line([*path, *where]), _at(_field((*path, *where)), told)
            continue
        if question.id in (*seen, "seed"):
            taken = (
                Message("{id!r} is on line {line}, too; choose another", id=question.id, line=seen[question.id])
                if question.id in seen
                else Message("{id!r} means the seed to an answers file; choose another", id=question.id)
            )
            yield document.line([*path, "id"]), _at(f"{_field(path)}.id", taken)
        seen.setdefault(question.id, document.line([*path, "id"]))
        questions.append(question)
    if not whole["questions"]:
        yield document.line(["questions"]), _at("questions", Message("there is none"))


def _complaint(problem: dict[str, Any], model: type[Question]) -> tuple[tuple[str | int, ...], str]:
    """Return the path to an error in a question, and the error's message."""
    where: tuple[str | int, ...] = tuple(step for step in problem["loc"] if step != "[key]")
    cause = problem.get("ctx", {}).get("error")
    if isinstance(cause, FieldProblem):
        return (*where, *cause.path), said_by(cause)
    if isinstance(cause, ValueError):
        return where, said_by(cause)
    if problem["type"] == "missing":
        return where, Message("is missing")
    if problem["type"] == "extra_forbidden":
        near = nearest(str(where[-1]), model.model_fields) if len(where) == 1 else []
        if near:
            return where, Message("there is no such field; did you mean {near!r}?", near=near[0])
        return where, Message("there is no such field")
    return where, f"{problem['msg']}, got {problem['input']!r:.60}"


def _at(place: str, problem: str) -> Message:
    return Message("{place}: {problem}", place=place, problem=problem)


def _field(path: Sequence[str | int]) -> str:
    return "".join(f"[{step + 1}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def _seed_of(in_file: Any, asked: int | None) -> tuple[int | None, list[tuple[str, str]]]:
    """Return the seed from the file or the command, and the errors in it."""
    if in_file is None:
        return asked, []
    if isinstance(in_file, bool) or not isinstance(in_file, int) or in_file < 0:
        value = f"{in_file!r:.40}"
        return asked, [("seed", Message("{value} is no whole number from 0 up", value=value))]
    if asked not in (None, in_file):
        return asked, [
            (
                "seed",
                Message("these answers are to the questions of seed {seed}, not {asked}", seed=in_file, asked=asked),
            )
        ]
    return in_file, []


def _depends_on_draw(question: Question, given: Any) -> bool:
    """Whether the meaning of ``given`` depends on the draw of the question, as that of a letter does."""
    if not isinstance(question, Asked):
        return True
    try:
        return len({repr(question.draw(Random(seed)).read(given)) for seed in range(16)}) > 1
    except NotAnAnswer:
        return False
