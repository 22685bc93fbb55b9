"""Lets an author run a properties file with plain pytest: ``pytest -p groundup.core.testing.pytest_plugin FILE``.

Here ``impl`` is the solution itself, in this process. ``learn grade`` runs the same file with ``impl`` in another one.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from groundup.core.interfaces.code_runner import CodeRunner
from groundup.core.registry import Registry
from groundup.core.technique import Technique
from groundup.core.testing.modules import properties_of, reference_of
from groundup.core.testing.ranks import as_impl
from groundup.core.testing.subprocess_runner import SubprocessRunner


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Lift hypothesis's limit of 200 ms a case, as the judge does: a slow machine makes no claim false."""
    if hypothesis.settings.get_current_profile_name() in ("default", "ci"):
        hypothesis.settings.register_profile("properties", hypothesis.settings.default, deadline=None)
        hypothesis.settings.load_profile("properties")


class PropertiesModule(pytest.Module):
    """A properties file, imported under its canonical name: by its path alone, its manifest would run twice."""

    technique: Technique

    def _getobj(self) -> types.ModuleType:
        return properties_of(self.technique)


def properties_module(technique: Technique, path: Path, parent: Any) -> PropertiesModule:
    """Return the collector of ``technique``'s properties."""
    module: PropertiesModule = PropertiesModule.from_parent(parent, path=path)
    module.technique = technique
    return module


def pytest_pycollect_makemodule(module_path: Path, parent: Any) -> pytest.Module | None:
    """Collect a technique's properties file as what it is."""
    if module_path.name != "properties.py":
        return None
    for technique in Registry().techniques.values():
        if technique.files.properties.samefile(module_path):
            return properties_module(technique, module_path, parent)
    return None


@pytest.fixture(scope="module")  # hypothesis refuses one made anew for each test
def reference(request: pytest.FixtureRequest) -> Any:
    """The solution's public class or function."""
    module = request.node.getparent(PropertiesModule)
    if module is None:
        raise pytest.UsageError("'impl' and 'reference' are fixtures of a technique's properties.py")
    return as_impl(module.technique, reference_of(module.technique))


@pytest.fixture(scope="module")
def impl(reference: Any) -> Any:
    """What is judged: here the solution itself."""
    return reference


@pytest.fixture(scope="module")
def code_runner() -> CodeRunner:
    """What runs programs: here trusted ones."""
    return SubprocessRunner()
