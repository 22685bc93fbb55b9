from __future__ import annotations

from typing import Any

import pytest

from groundup.grader.authoring.soundness.imports import check


def told(toy: Any) -> list[str]:
    return check(toy.technique, toy.registry)[1]


def test_what_imports_as_it_may_is_clean(toy: Any) -> None:
    assert check(toy.technique, toy.registry) == ("what attempts have", [])


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("import pandas", "an attempt cannot import 'pandas'"),
        ("from groundup.core import registry", "an attempt cannot import 'groundup.core.registry'"),
        ("from groundup.solutions.rl.gae import gae", "an attempt cannot import 'groundup.solutions.rl.gae'"),
        ("from . import properties", "a relative import: an attempt is a file by itself"),
        ("    import hypothesis", "an attempt cannot import 'hypothesis'"),
    ],
)
def test_what_a_solution_may_not_import_is_found_with_its_line(toy: Any, line: str, says: str) -> None:
    inside = "    # HOLE 1/2" if line.startswith(" ") else "import torch"
    at = toy.spoil("solution.py", inside, f"{line}\n{inside}")
    (found,) = told(toy)
    assert found.startswith(f"{at}: {says}")


@pytest.mark.parametrize(
    "line", ["from groundup.core import plain", "import groundup.core.interfaces.attention", "import os"]
)
def test_what_an_attempt_has_is_a_solutions_too(toy: Any, line: str) -> None:
    toy.spoil("solution.py", "import torch", f"{line}\nimport torch")
    assert told(toy) == []


@pytest.mark.parametrize(
    "line", ["from {package}.solution import half", "from . import solution", "from groundup.solutions.rl import gae"]
)
@pytest.mark.parametrize("file", ["properties.py", "lab.py"])
def test_a_plugin_that_imports_a_solution_is_found(toy: Any, file: str, line: str) -> None:
    line = line.format(package=toy.package)
    first = (toy.folder / file).read_text().splitlines()[0]
    toy.spoil(file, first, f"{first}\n\n{line}")
    (found,) = told(toy)
    assert found.startswith(f"{toy.at(file, line)}: a plugin imports the solution ")


def test_a_manifest_that_imports_torch_is_found_where_it_does(toy: Any) -> None:
    toy.spoil(
        "__init__.py", "from groundup.core.hookspecs", "from .helper import help_it\nfrom groundup.core.hookspecs"
    )
    (toy.folder / "helper.py").write_text("import json\n\nimport torch\n\nhelp_it = json, torch\n")
    (found,) = told(toy)
    assert found.startswith(f"{toy.folder}/helper.py:3: importing the manifest imports torch here")


def test_a_listed_module_that_is_not_there_is_found(toy: Any) -> None:
    toy.spoil("__init__.py", '    implements="half",', '    implements="half",\n    imports=("nothing_like_it",),')
    (found,) = told(toy)
    assert "no module 'nothing_like_it' is installed" in found
