"""Quiz files and files of answers: read from YAML, with file, line and field of every error.

A quiz depends only on its file and its seed: both together always give the same numbers in the same order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from pydantic import ValidationError

from groundup.core.errors import PluginProblem, UsageProblem, nearest, reason_of
from groundup.core.examples import filled_in
from groundup.core.messages import Message, joined, said_by
from groundup.core.quiz.marked_yaml import Document, Malformed, read_yaml
from groundup.core.quiz.question import Answer, Asked, FieldProblem, NotAnAnswer, Question
from groundup.core.registry import Registry
from groundup.core.technique import Technique, say

__all__ = ["Quiz", "answer_sheet", "question_kinds", "read_answers", "read_quiz", "read_quiz_file"]

LARGEST_FILE = 1_000_000  # bytes; limit for an answers file
Kinds = Mapping[str, type[Question]]
_WRITTEN = {"example": "{text: ...}", "marked": "{text: ..., points: [1, 2]}"}


@dataclass(frozen=True)
class Quiz:
    """The questions on one technique, in the order in which they are asked."""

    technique: str
    questions: tuple[Question, ...]
    sha256: str

    def drawn(self, seed: int) -> tuple[Asked, ...]:
        """Return the questions drawn from ``seed``; each question's draw is independent of the other questions."""
        return tuple(question.draw(Random(f"{seed}/{question.id}")) for question in self.questions)

    @cached_property
    def by_oneself(self) -> int:
        """How many questions learners mark themselves."""
        return sum(bool(question.by_oneself()) for question in self.drawn(0))

    @property
    def marked(self) -> int:
        """How many questions the machine marks."""
        return len(self.questions) - self.by_oneself


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
    return read_quiz_file(technique.files.quiz, technique.id, kinds, lambda text: filled_in(text, technique))


def read_quiz_file(file: Path, technique: str, kinds: Kinds, fill: Callable[[str], str] = str) -> Quiz:
    """Return the quiz in ``file``. ``fill`` changes its text first: it fills numbers of the examples in.

    Raises PluginProblem as :func:`read_quiz` does.
    """
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
        text = fill(_decoded(data))
        document = read_yaml(text)
    except Malformed as problem:
        raise PluginProblem("{file}:{line}: {problem}", file=file, line=problem.line, problem=problem) from problem
    questions: list[Question] = []
    problems = list(_check_questions(document, kinds, questions))
    if problems:
        at = [
            Message("{file}:{line}: {problem}", file=file, line=line, problem=told) for line, told in sorted(problems)
        ]
        raise PluginProblem(joined("\n", at))
    read = data if text == _decoded(data) else text.encode()
    return Quiz(technique, tuple(questions), hashlib.sha256(read).hexdigest())


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
        lines += ["", *(f"# {line}".rstrip() for line in f"{number}. {say(question.text, lang)}".splitlines())]
        lines += [f"#    {letter}  {say(text, lang)}" for letter, text in question.choices().items()]
        if question.by_oneself():
            again = Message("write {example}; to mark it afterwards, add the points: {marked}", **_WRITTEN)
            lines += [f"#    ({told(say(question.expects(), lang))}; {told(again)})", f"{question.id}:"]
            continue
        lines += [f"#    ({told(say(question.expects(), lang))})", f"{question.id}:"]
    return "\n".join(lines) + "\n"


def _document(data: bytes) -> Document:
    return read_yaml(_decoded(data))


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
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
