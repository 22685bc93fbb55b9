"""Writes the exercise that is generated from a solution."""

from __future__ import annotations

from groundup.core.technique import Technique
from groundup.grader.judging.exercise import stub

__all__ = ["stub_of", "write_stub"]


def stub_of(technique: Technique) -> str:
    """Return the exercise generated from the solution as it is on disk now."""
    return stub(technique.files.solution.read_text(encoding="utf-8"), str(technique.files.solution))


def write_stub(technique: Technique) -> bool:
    """Write the exercise; return whether that changed the file."""
    text, path = stub_of(technique), technique.files.exercise
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    if technique.package.startswith("groundup.plugins.") and not (path.parent / "__init__.py").exists():
        (path.parent / "__init__.py").write_text(f'"""Stubs of the track {technique.track}."""\n', encoding="utf-8")
    path.write_text(text, encoding="utf-8")
    return True
