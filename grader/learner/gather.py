"""Makes the brief from the database of a workspace.

Nothing here grades, measures or reads the clock: the same rows and the same plugins give the same brief.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Iterator
from difflib import SequenceMatcher
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from groundup.core.errors import GroundupError, StateProblem
from groundup.core.lab import Outcome as LabOutcome
from groundup.core.registry import Registry
from groundup.core.technique import Roadmap, Technique, say
from groundup.grader.judging.verdict import Verdict
from groundup.grader.learner.brief import (
    Brief,
    Code,
    Figure,
    Grading,
    LabProof,
    Part,
    Proof,
    QuizProof,
    Section,
    Totals,
    is_older,
)
from groundup.grader.learner.records import LabRecord, QuizRecord
from groundup.grader.learner.state import State
from groundup.grader.process.text import printable

__all__ = ["gather"]

PNG = b"\x89PNG\r\n\x1a\n"


def gather(
    state: State,
    registry: Registry,
    roadmap: Roadmap,
    lang: str,
    learner: str = "",
    told: Callable[[str], str] = str,
) -> tuple[Brief, list[GroundupError]]:
    """Return the brief, and the problems because of which parts are missing: failed plugins, unreadable rows.

    ``told`` translates English text to ``lang``.
    """
    problems: list[GroundupError] = []
    verdicts, quizzes = state.verdicts(), state.quizzes()
    problems += state.problems.values()
    known = {*(v.technique for v in verdicts), *(q.technique for q in quizzes), *registry.techniques}
    place = {i: n for n, i in enumerate(i for day in roadmap.days for i in day.techniques)}
    proofs = []
    for technique in sorted(known, key=lambda i: (place.get(i, len(place)), i)):
        its_verdicts = [v for v in verdicts if v.technique == technique]
        its_quizzes = [q for q in quizzes if q.technique == technique]
        proof = _proof(technique, registry, state, its_verdicts, its_quizzes, lang, told, problems)
        if proof.verdict or proof.best_quiz or proof.lab:
            proofs.append(proof)
    quoted = [p.verdict for p in proofs if p.verdict]
    brief = Brief(
        learner=learner,
        lang=lang,
        groundup=tuple(sorted({v.environment["groundup"] for v in quoted if "groundup" in v.environment})),
        totals=_totals(proofs),
        proofs=tuple(proofs),
        sections=tuple(_sections(registry, quoted, lang, problems)) if proofs else (),
    )
    return brief, problems


def _proof(
    identity: str,
    registry: Registry,
    state: State,
    verdicts: list[Verdict],
    quizzes: list[QuizRecord],
    lang: str,
    told: Callable[[str], str],
    problems: list[GroundupError],
) -> Proof:
    technique = registry.techniques.get(identity)
    counting = [v for v in verdicts if v.counts]
    best = max(counting, key=lambda v: (v.passed, v.score), default=None)  # of equals the first: the newest
    gave_up = next((e.at for e in state.events(identity) if e.kind == "gave_up"), None)
    return Proof(
        technique=identity,
        called=_called(identity, registry),
        title=say(technique.title, lang) if technique else identity,
        summary=say(technique.summary, lang) if technique else "",
        sources=technique.sources if technique else (),
        version=technique.version if technique else None,
        broken=technique is None and registry.problem_of(identity) is not None,
        changes=tuple(say(c.text, lang) for c in technique.changed_since(best.version)) if technique and best else (),
        verdict=best,
        history=tuple(
            Grading(
                given_at=v.given_at,
                outcome=v.outcome,
                score=v.score,
                seed=v.seed,
                version=v.version,
                older=is_older(v.version, technique.version if technique else None),
                sha256=v.attempt.sha256,
                quoted=v is best,
            )
            for v in reversed(verdicts)
            if v.counts or v.outcome == "not_gradable"
        ),
        hints_used=state.hints_used(identity),
        hints=sum(len(hole.hints) for hole in technique.holes) if technique else None,
        gave_up_at=gave_up,
        code=_code(best, technique, state, problems) if best else None,
        lab=_lab(state.labs(identity), lang, told, problems),
        quizzes=tuple(_quiz(q) for q in reversed(quizzes)),
    )


def _called(identity: str, registry: Registry) -> str:
    """Return the technique's short name if 'learn grade' accepts it, else its id."""
    name = identity.rpartition("/")[2]
    return name if [t.id for t in registry.techniques.values() if t.name == name] == [identity] else identity


def _totals(proofs: list[Proof]) -> Totals:
    graded = [p.verdict for p in proofs if p.verdict]
    quizzes = [p.best_quiz for p in proofs if p.best_quiz]
    marks = [p.lab.reached for p in proofs if p.lab and not p.lab.quick and p.lab.reached is not None]
    moments = [
        *(g.given_at for p in proofs for g in p.history),
        *(p.lab.at for p in proofs if p.lab),
        *(q.began_at for p in proofs for q in p.quizzes),
    ]
    return Totals(
        graded=len(graded),
        passed=sum(v.passed for v in graded),
        claims=sum(len(v.properties) for v in graded),
        held=sum(v.held for v in graded),
        gradings=sum(len(p.history) for p in proofs),
        questions=sum(q.questions for q in quizzes),
        right=sum(q.right for q in quizzes),
        marks=len(marks),
        marks_reached=sum(marks),
        first=min(moments, default=None),
        last=max(moments, default=None),
    )


def _code(verdict: Verdict, technique: Technique | None, state: State, problems: list[GroundupError]) -> Code | None:
    sha256 = verdict.attempt.sha256
    source = state.source(sha256)
    data = b"" if source is None else source.encode("utf-8", "surrogateescape")
    if source is None or hashlib.sha256(data).hexdigest() != sha256:
        problems.append(
            StateProblem(
                "The database does not hold the file that verdict {technique} of seed {seed} is on (sha256 "
                "{sha256}), so the brief goes without its code. Grading the file again records it.",
                technique=verdict.technique,
                seed=verdict.seed,
                sha256=sha256,
            )
        )
        return None
    text = source.replace("\r\n", "\n")
    shown = printable(text)
    stub = _stub(technique)
    lines = shown.split("\n")
    if lines[-1] == "":
        lines.pop()
    file = technique.file if technique else verdict.technique.replace("-", "_") + ".py"
    return Code(
        file=file.rpartition("/")[2],
        sha256=sha256,
        size=len(data),
        parts=tuple(_parts(lines, stub, [h.number for h in verdict.holes])),
        marked=bool(stub),
        hidden=sum(a != b for a, b in zip(text, shown, strict=True)),
        base64=base64.b64encode(data).decode(),
    )


def _stub(technique: Technique | None) -> list[str]:
    try:
        return technique.files.exercise.read_text(encoding="utf-8").splitlines() if technique else []
    except (OSError, UnicodeDecodeError, ModuleNotFoundError):
        return []


def _parts(lines: list[str], stub: list[str], holes: Iterable[int]) -> Iterator[Part]:
    """Split an attempt into stub lines and the learner's lines, by a diff against the stub.

    Lines that replace a hole's exception belong to that hole.
    """
    if not stub:
        yield Part(text=_joined(lines), yours=False)
        return
    raises = {n: f'raise NotImplementedError("hole {n}/' for n in holes}
    matcher = SequenceMatcher(lambda line: not line.strip(), stub, lines, autojunk=False)
    for tag, low, high, first, last in matcher.get_opcodes():
        if first == last:
            continue
        filled = tuple(n for n, start in raises.items() if any(s.lstrip().startswith(start) for s in stub[low:high]))
        yield Part(text=_joined(lines[first:last]), yours=tag != "equal", holes=filled if tag != "equal" else ())


def _joined(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


class _Run(BaseModel):
    """The fields of a recorded lab run (``LabRun`` as JSON) that the brief needs."""

    model_config = ConfigDict(extra="ignore")

    contestant: str
    seed: int
    quick: bool
    implementations: dict[str, str]
    outcome: LabOutcome
    name: dict[str, str] | None = None


def _lab(
    records: list[LabRecord], lang: str, told: Callable[[str], str], problems: list[GroundupError]
) -> LabProof | None:
    """Return the run to quote: prefers full to quick runs, then runs that reached their mark, then the newest."""
    found: list[tuple[tuple[bool, bool], LabProof]] = []
    for record in records:
        try:
            runs = {run.contestant: run for run in map(_Run.model_validate, record.runs)}
        except ValidationError as error:
            first = error.errors()[0]
            reason = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
            at = f"{record.at:%Y-%m-%d %H:%M}"
            problems.append(
                StateProblem(
                    "A lab of {technique} ({at} UTC) was recorded by another Groundup and cannot be read "
                    "by this one; the brief goes without it. Updating Groundup may help. ({reason})",
                    technique=record.technique,
                    at=at,
                    reason=reason,
                )
            )
            continue
        if "yours" in runs:
            proof = _lab_proof(record, runs["yours"], runs.get("reference"), runs.get("foil"), lang, told)
            found.append(((not proof.quick, bool(proof.reached)), proof))
    return max(found, key=lambda each: each[0], default=(None, None))[1]


def _lab_proof(
    record: LabRecord, yours: _Run, reference: _Run | None, foil: _Run | None, lang: str, told: Callable[[str], str]
) -> LabProof:
    beside = {f.name["en"]: f.value for f in reference.outcome.figures} if reference else {}
    without = {f.name["en"]: f.value for f in foil.outcome.figures} if foil else {}
    mark, other = yours.outcome.mark, reference.outcome.mark if reference else None
    return LabProof(
        at=record.at,
        seed=yours.seed,
        quick=yours.quick,
        figures=tuple(
            Figure(
                name=say(f.name, lang),
                unit=f.unit,
                yours=f.value,
                reference=beside.get(f.name["en"]),
                foil=without.get(f.name["en"]),
                published="; ".join(map(told, f.beside(lang))) or None,
            )
            for f in yours.outcome.figures
        ),
        mark=say(mark.says, lang) if mark else None,
        reached=mark.reached if mark else None,
        reference_reached=other.reached if other else None,
        foil=say(foil.name, lang) if foil and foil.name else None,
        foil_reached=foil.outcome.mark.reached if foil and foil.outcome.mark else None,
        implementations=dict(sorted(yours.implementations.items())),
        picture_base64=base64.b64encode(record.picture).decode() if record.picture.startswith(PNG) else None,
    )


def _quiz(record: QuizRecord) -> QuizProof:
    return QuizProof(
        began_at=record.began_at,
        status=record.status,
        seed=record.seed,
        sha256=record.sha256,
        questions=record.questions,
        answered=len(record.answers),
        right=record.right,
        points=record.credit,
        by_oneself=record.by_oneself,
        own_points=sum(a.credit for a in record.answers if a.by_oneself),
        missed=tuple(a.question for a in record.answers if not a.right and not a.by_oneself),
    )


def _sections(
    registry: Registry, verdicts: list[Verdict], lang: str, problems: list[GroundupError]
) -> Iterator[Section]:
    """Yield the plugins' sections. A plugin that raises, or does not return texts, is left out."""
    given = [v.model_dump(mode="json") for v in verdicts]
    answers, failed = registry.ask("brief_sections", _texts, verdicts=given, lang=lang)
    problems += failed
    for plugin, sections in answers:
        for title, markdown in sections.items():
            yield Section(plugin=plugin, title=title, markdown=markdown)


def _texts(returned: Any) -> dict[str, str]:
    if not (isinstance(returned, dict) and all(isinstance(t, str) for pair in returned.items() for t in pair)):
        raise TypeError(f"it returned {returned!r:.80}, which is no dict of texts")
    return returned
