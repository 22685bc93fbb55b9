"""Rule: the manifest is complete: hints for every hole, texts, precise sources, existing requirements, changes."""

from __future__ import annotations

from collections.abc import Iterator

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.places import Found, built_in, declared
from groundup.grader.judging.exercise import holes


def check(technique: Technique, registry: Registry) -> Found:
    """Find what is missing in the manifest."""
    solution = technique.files.solution
    marked = holes(solution.read_text(encoding="utf-8"), str(solution))
    problems = list(_texts(technique))
    if len(marked) != len(technique.holes):
        problems.append(
            f"{solution} marks {len(marked)} holes, the manifest has hints for {len(technique.holes)}: "
            f"each needs hints of its own, in {declared(technique, ('hole',), 'holes=')}"
        )
    known = {i for roadmap in registry.roadmaps.values() for day in roadmap.days for i in day.techniques}
    for number, required in enumerate(technique.requires):
        if required not in known | registry.techniques.keys():
            where = declared(technique, ("requires", number), required)
            problems.append(f"{where}: it requires {required!r}, which is no technique here and stands in no roadmap")
    return f"{len(marked)} holes, {len(technique.sources)} sources", problems


def _texts(technique: Technique) -> Iterator[str]:
    summary = declared(technique, ("summary",), "summary=")
    if technique.headline is None:
        yield f"{summary}: no headline: add what the technique is known for"
    if built_in(technique) and None in (technique.level, technique.minutes):
        yield f"{summary}: no level, or no minutes: say how hard it is, from 1 to 5, and how long a learner takes"
    for number, source in enumerate(technique.sources):
        where = declared(technique, ("source", number, "url"), source.url)
        if not source.title.strip():
            yield f"{where}: this source has no title"
        if not source.where.strip():
            yield (
                f"{where}: the source {source.title!r} does not say where: add 'where', the equation, section or "
                "function that was read"
            )
    told = [change.version for change in technique.changes]
    if silent := [str(version) for version in range(2, technique.version + 1) if version not in told]:
        yield (
            f"{declared(technique, ('version',), 'version=')}: nothing says what changed with version "
            f"{', '.join(silent)}: add a change for each, for who has a verdict of an older one"
        )
