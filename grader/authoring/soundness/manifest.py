"""The manifest is complete: hints for every hole, texts, sources that say where, requirements that exist."""

from __future__ import annotations

from collections.abc import Iterator

from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.places import Found, manifest, place
from groundup.grader.judging.exercise import holes


def check(technique: Technique, registry: Registry) -> Found:
    """Find what the manifest lacks."""
    solution = technique.files.solution
    marked = holes(solution.read_text(encoding="utf-8"), str(solution))
    problems = list(_texts(technique))
    if len(marked) != len(technique.holes):
        problems.append(
            f"{solution} marks {len(marked)} holes, the manifest has hints for {len(technique.holes)}: "
            f"one Hole(hints=...) for each, in {place(manifest(technique), 'holes=')}"
        )
    known = {i for roadmap in registry.roadmaps.values() for day in roadmap.days for i in day.techniques}
    for required in technique.requires:
        if required not in known | registry.techniques.keys():
            problems.append(
                f"{place(manifest(technique), required)}: it requires {required!r}, which is no technique here and "
                "stands in no roadmap"
            )
    return f"{len(marked)} holes, {len(technique.sources)} sources", problems


def _texts(technique: Technique) -> Iterator[str]:
    file = manifest(technique)
    if technique.headline is None:
        yield f"{place(file, 'summary=')}: no headline: add headline={{'en': ...}}, what the technique is known for"
    for number, hole in enumerate(technique.holes, start=1):
        for text in hole.hints:
            if not text["en"].strip():
                yield f"{place(file, 'hints=')}: a hint of hole {number} is empty"
    for source in technique.sources:
        if not source.title.strip():
            yield f"{place(file, source.url)}: this source has no title"
        if not source.where.strip():
            yield (
                f"{place(file, source.url)}: the source {source.title!r} does not say where: add where=..., the "
                "equation, section or function that was read"
            )
