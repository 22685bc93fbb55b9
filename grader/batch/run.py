"""Grades a whole class: selects what is still to be graded, runs an engine, and writes the summary."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from groundup.core.errors import UnknownName, UsageProblem
from groundup.core.messages import Message
from groundup.core.technique import Technique
from groundup.grader.batch import files
from groundup.grader.batch.journal import Journal, Round, replace
from groundup.grader.batch.made_with import judged_by, technique_files
from groundup.grader.batch.moves import Moves, moved
from groundup.grader.batch.page import Summary, page, summarised
from groundup.grader.batch.row import Graded, Job, Row, fingerprint, row_of
from groundup.grader.batch.seeds import fresh
from groundup.grader.batch.submissions import Submission, Submissions
from groundup.grader.judging.verdict import PropertyResult
from groundup.grader.learner.templates import Texts

if TYPE_CHECKING:
    from groundup.grader.batch.database import Database

__all__ = ["Class", "Engine", "Outcome", "Wishes"]

SUMMARY = "summary.html"


class Engine(Protocol):
    """Grades jobs in any order. Each job gets exactly one result, even if processes die."""

    def results(self, jobs: Iterator[Job]) -> Generator[Graded]:
        """Yield each job's result. It takes a job only when it can start it; closing the generator ends all jobs."""
        ...


@dataclass(frozen=True)
class Wishes:
    """The instructor's options."""

    seed: int | None = None
    seed_from: str = "drawn"
    thorough: bool = False
    points: dict[str, float] = field(default_factory=dict)
    lang: str = "en"
    regrade: bool = False
    only: Sequence[str] = ()


@dataclass(frozen=True)
class Outcome:
    """The result of a class. ``moves`` is None in a first round."""

    summary: Summary
    moves: Moves | None
    changed: list[Message]
    round: Round
    number: int


class Class:
    """A class of submissions to one technique, and the folder of its results."""

    def __init__(
        self,
        submissions: Submissions,
        journal: Journal,
        properties: list[PropertyResult],
        wishes: Wishes,
        texts: Texts,
        database: Database | None = None,
    ) -> None:
        """Determine what is to be graded. Raises UsageProblem if existing results were graded with other settings."""
        self.submissions, self.journal, self.properties = submissions, journal, properties
        self.technique: Technique = submissions.technique
        self.wishes, self.texts, self.database = wishes, texts, database
        self.names = submissions.names
        for name in wishes.only:
            if name not in self.names:
                there = Message("{folder} holds {count}.", folder=submissions.folder, count=len(self.names))
                raise UnknownName(Message("submission"), name, self.names, there)
        points = {p.id: wishes.points.get(p.id, p.points) for p in properties}
        self.out_of = round(sum(points.values()), 6)
        self.undiagnosed: set[str] = set()
        """The problems in the technique's known mistakes because of which verdicts have no diagnosis."""
        self._settle()
        self.wanted = list(dict.fromkeys(wishes.only)) or self.names
        self.waiting = [name for name in self.wanted if self._is_waiting(name)]
        """The submissions without a row, or with another file than the one in the row."""
        if self.waiting and self.journal.rounds[-1].finished:
            self.journal.reopen()

    def grade(self, engine: Engine, told: Callable[[Row], None]) -> None:
        """Grade the waiting submissions. Each row and its files are on disk before ``told`` is called with the row."""
        begun: dict[str, Submission] = {}
        nothing: list[Submission] = []

        def jobs() -> Iterator[Job]:
            for name in self.waiting:
                submission = self.submissions.read(name)
                if submission.source is None:
                    nothing.append(submission)
                    continue
                begun[name] = submission
                yield self._job(submission)

        with contextlib.closing(engine.results(jobs())) as results:
            for graded in results:
                self._keep_those(nothing, told)
                self._keep(begun.pop(graded.job.name), graded, told)
        self._keep_those(nothing, told)

    def collect(self) -> Outcome:
        """Write the tables and the page of the whole class, from the rows."""
        folder, current = self.journal.folder, self.journal.rounds[-1]
        if all(self.journal.standing(name) for name in self.names) and not current.finished:
            self.journal.finish()
        moves: Moves | None = None
        changed: list[Message] = []
        if self.journal.round > 1:
            moves = moved((was, row) for row in self._rows() if (was := self.journal.earlier(row.name)))
            changed = current.differences(self.journal.rounds[-2])
            replace(folder / files.MOVED, files.moved_table(moves.each))
        left_out = [] if self.wishes.only else self.submissions.beside
        summary = summarised(self._rows(), self.texts, left_out)
        replace(folder / files.CSV, files.table(self._rows(), self.properties, left_out))
        text = page(summary, current, self.journal.round, self.properties, self.texts, moves, changed)
        replace(folder / SUMMARY, text.encode("utf-8", "replace"))
        return Outcome(summary, moves, changed, current, self.journal.round)

    def mend(self) -> None:
        """Write what is missing for earlier rows: a learner's files, and verdicts in the database."""
        for row in self._rows():
            if not files.are_there(self.journal.folder, row.name):
                files.write_for(self.journal.folder, row, self.texts)
            if self.database and row.verdict and not self.database.has(row):
                submission = self.submissions.read(row.name)
                if submission.source is not None and fingerprint(submission) == row.fingerprint:
                    self.database.record(row, submission.source, {})

    def _rows(self) -> Iterator[Row]:
        for name in self.names:
            row = self.journal.row(name)
            if row is not None:
                yield row

    def _settle(self) -> None:
        """Begin a round, or continue the current one."""
        rounds, wishes = self.journal.rounds, self.wishes
        kept = rounds[-1].seed if rounds else fresh()
        wanted = Round(
            technique=self.technique.id, version=self.technique.version,
            files=technique_files(self.technique), judge=judged_by(),
            seed=wishes.seed if wishes.seed is not None else kept,
            seed_from=wishes.seed_from if wishes.seed is not None or not rounds else rounds[-1].seed_from,
            thorough=wishes.thorough, points=wishes.points, lang=wishes.lang,
        )  # fmt: skip
        if not rounds:
            self.journal.begin(wanted)
            return
        if rounds[-1].technique != wanted.technique:
            raise UsageProblem(
                "{folder} holds results of {other}: name another folder for {technique} with --out.",
                folder=self.journal.folder,
                other=rounds[-1].technique,
                technique=wanted.technique,
            )
        differs = wanted.differences(rounds[-1])
        if wishes.regrade and (differs or rounds[-1].finished):
            self.journal.begin(wanted)
        elif differs:
            raise UsageProblem(
                "What {folder} holds was graded with something else ({differs}): --regrade grades all again and "
                "shows who moved; or name another folder with --out.",
                folder=self.journal.folder,
                differs=differs,
            )

    def _is_waiting(self, name: str) -> bool:
        standing = self.journal.standing(name)
        if standing is None:
            return True
        return standing[1] == "not_gradable" or standing[0] != fingerprint(self.submissions.read(name))

    def _job(self, submission: Submission) -> Job:
        assert submission.file is not None
        assert submission.source is not None
        current = self.journal.rounds[-1]
        return Job(
            submission.name, submission.file, submission.source, self.technique.id,
            current.files | current.judge, current.seed, current.thorough, current.lang,
        )  # fmt: skip

    def _keep_those(self, nothing: list[Submission], told: Callable[[Row], None]) -> None:
        while nothing:
            self._keep(nothing.pop(0), None, told)

    def _keep(self, submission: Submission, graded: Graded | None, told: Callable[[Row], None]) -> None:
        row = row_of(
            submission, graded, round=self.journal.round, points=self.wishes.points, out_of=self.out_of,
            folder=self.submissions.folder,
        )  # fmt: skip
        if graded and graded.undiagnosed:
            self.undiagnosed.add(graded.undiagnosed)
        files.write_for(self.journal.folder, row, self.texts)
        self.journal.append(row)
        if self.database and row.verdict and graded and submission.source is not None:
            self.database.record(row, submission.source, graded.cases)
        told(row)
