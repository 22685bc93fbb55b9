"""Techniques in distributions of their own, installed with pip: the example, and those of ``learn author new``."""

from __future__ import annotations

import json
import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from groundup.grader.process import sandbox

EXAMPLE = Path(__file__).parents[2] / "examples" / "groundup-nope"
CONTRACT_1 = Path(__file__).parent / "contract_1" / "groundup-nope"
"""The same technique as it was when contract 1 was all there was: manifest and lab in Python."""


class Environment:
    """A virtual environment with the packages of the tests' own environment, and a current folder."""

    def __init__(self, home: Path, here: Path) -> None:
        venv.create(home, symlinks=True)
        self.home, self.here = home, here
        places = {"base": str(home), "platbase": str(home)}
        self.scripts = Path(sysconfig.get_path("scripts", "venv", places))
        # addsitedir reads the .pth files of that folder too, in case Groundup is installed there in editable mode.
        lines = [f"import site; site.addsitedir({folder!r})" for folder in site.getsitepackages()]
        (Path(sysconfig.get_path("purelib", "venv", places)) / "shared.pth").write_text("\n".join(lines) + "\n")
        (self.scripts / "learn").write_text(
            f"#!{self.scripts / 'python'}\nfrom groundup.cli.entry import main\n\nmain()\n"
        )
        (self.scripts / "learn").chmod(0o755)

    def learn(self, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return self.run(str(self.scripts / "learn"), *args, **environment)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(
            command, cwd=self.here, env={**kept, "COLUMNS": "100", "LEARN_WARM": "0", **environment},
            capture_output=True, text=True, timeout=600,
        )  # fmt: skip

    def pip(self, *args: str) -> None:
        done = self.run(sys.executable, "-I", "-m", "pip", "--python", str(self.home), *args)
        assert done.returncode == 0, done.stdout + done.stderr

    def install(self, source: Path, *options: str) -> None:
        self.pip("install", "--no-deps", "--no-build-isolation", "--no-index", "--no-compile", *options, str(source))


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    here = tmp_path / "here"
    here.mkdir()
    return Environment(tmp_path / "environment", here)


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the example, because a build leaves files in its folder."""
    return shutil.copytree(
        EXAMPLE, tmp_path / "source", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    )


@pytest.fixture
def of_contract_1(environment: Environment, tmp_path: Path) -> Path:
    """The example in its version for contract 1, installed."""
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    folder = shutil.copytree(CONTRACT_1, tmp_path / "contract_1", ignore=ignored)
    environment.install(folder)
    return folder


def listed(environment: Environment) -> list[str]:
    """Return the short names of the techniques that ``learn list`` has a line for."""
    found = environment.learn("list", "--all")
    assert (found.returncode, found.stderr) == (0, "")
    return [line.split()[0] for line in found.stdout.partition("tracks\n")[2].splitlines() if line.strip()]


def test_a_technique_of_a_third_party_lives_as_a_built_in_does(environment: Environment, example: Path) -> None:
    learn = environment.learn
    assert "nope" not in listed(environment)
    environment.install(example)
    assert "nope" in listed(environment)
    started = learn("start", "nope")
    assert started.returncode == 0, started.stderr
    attempt = environment.here / "workspace" / "architecture" / "nope.py"
    stub = attempt.read_text(encoding="utf-8")
    assert 'raise NotImplementedError("hole 3/3: from weights to positions")' in stub
    graded = learn("grade", "nope", "--json")
    assert (graded.returncode, json.loads(graded.stdout)["outcome"]) == (1, "not_started")

    attempt.write_text((example / "groundup_nope" / "solution.py").read_text(encoding="utf-8"), encoding="utf-8")
    graded = learn("grade", "nope", "--json")
    verdict = json.loads(graded.stdout)
    assert (graded.returncode, verdict["passed"], verdict["technique"]) == (0, True, "architecture/nope")
    brief = learn("brief", "--format", "md", "--out", "before.md")
    assert brief.returncode == 0, brief.stderr
    text = (environment.here / "before.md").read_text(encoding="utf-8")
    assert "Order without positions" in text
    assert "Attention without positions (NoPE)" in text

    environment.pip("uninstall", "--yes", "groundup-nope")
    assert "nope" not in listed(environment)
    status = learn("status")
    assert status.returncode == 0, status.stderr
    assert "architecture/nope" in status.stdout
    brief = learn("brief", "--format", "md", "--out", "after.md")
    assert brief.returncode == 0, brief.stderr
    text = (environment.here / "after.md").read_text(encoding="utf-8")
    assert "architecture/nope" in text
    assert verdict["attempt"]["sha256"] in text
    assert "Order without positions" not in text


@pytest.mark.soak
def test_a_technique_that_was_written_for_contract_1_goes_on_working(
    environment: Environment, of_contract_1: Path
) -> None:
    learn = environment.learn
    assert "nope" in listed(environment)
    assert learn("start", "nope").returncode == 0
    shown = learn("hint", "nope", "3").stdout
    assert "hole 3: from weights to positions" in shown
    solution = (of_contract_1 / "groundup_nope" / "solution.py").read_text(encoding="utf-8")
    attempt = environment.here / "workspace" / "architecture" / "nope.py"
    attempt.write_text(solution, encoding="utf-8")
    graded = learn("grade", "nope", "--json")
    assert (graded.returncode, json.loads(graded.stdout)["passed"]) == (0, True)
    attempt.write_text(solution.replace("key.mT * size**-0.5", "key.mT"), encoding="utf-8")
    graded = learn("grade", "nope", "--json")
    assert [d["id"] for d in json.loads(graded.stdout)["diagnosis"]] == ["no-scale"]
    ran = learn("run", "nope", "--reference", "--quick", "--json")
    figure = json.loads(ran.stdout)[0]["outcome"]["figures"][0]
    assert (figure["name"], figure["value"]) == ({"en": "positions found, of 320"}, 320)
    assert figure["published"]["en"].startswith("all: Kazemnejad et al. 2023")
    rules = [word for rule in ("manifest", "imports", "exercise", "stub", "hints", "lab") for word in ("--rule", rule)]
    checked = learn("author", "check", "nope", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "the last hints give no code" in checked.stdout


@pytest.mark.soak
def test_a_technique_that_was_written_for_contract_1_is_told_what_its_interface_calls_otherwise(
    environment: Environment, of_contract_1: Path
) -> None:
    checked = environment.learn("author", "check", "nope", "--json")
    found = {finding["rule"]: finding["problems"] for finding in json.loads(checked.stdout)["findings"]}
    asked = found.pop("quiz")  # less was asked of a quiz then; but its answers are right
    assert not any("is wrong" in problem for problem in asked), asked
    for less_was_asked in ("sources", "mutants"):
        found.pop(less_was_asked)
    problems = [problem for of_a_rule in found.values() for problem in of_a_rule]
    told = [problem.rpartition(": ")[2] for problem in problems]
    assert set(told) <= {"NoPE.forward takes no 'attn_mask', as does Attention.forward"}, problems


@pytest.mark.soak
def test_what_is_scaffolded_is_listed_once_it_is_installed_to_be_edited(environment: Environment) -> None:
    assert environment.learn("author", "new", "brand-new").returncode == 0
    environment.install(environment.here / "groundup-brand-new", "--editable")
    assert "brand-new" in listed(environment)
    checked = environment.learn(
        "author", "check", "brand-new", "--rule", "stub", "--rule", "lesson", "--rule", "imports"
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.soak
def test_the_example_is_sound(environment: Environment, example: Path) -> None:
    environment.install(example, "--editable")
    checked = environment.learn("author", "check", "nope")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.soak
def test_the_tests_that_are_scaffolded_pass(environment: Environment) -> None:
    assert environment.learn("author", "new", "brand-new").returncode == 0
    environment.install(environment.here / "groundup-brand-new", "--editable")
    environment.here = environment.here / "groundup-brand-new"
    done = environment.run(str(environment.scripts / "python"), "-m", "pytest", "-q")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout  # four properties, and one test that the technique is sound


INTERFACE = '''"""An interface of a third party, and what crosses with it."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from groundup.core.plain import plain


@plain
@dataclass(frozen=True, eq=False)
class Scaled:
    """A result, and by how much it was scaled."""

    values: Float[Tensor, "N"]
    by: float


class Scaler(ABC):
    """One way to scale."""

    @abstractmethod
    def scale(self, values: Float[Tensor, "N"]) -> Scaled:
        """Return the values, scaled."""
'''
OWN = {
    "solution.py": '''"""Scaling."""

from jaxtyping import Float
from torch import Tensor

from scaler_interface import Scaled, Scaler


class BrandNew(Scaler):
    """It doubles."""

    def scale(self, values: Float[Tensor, "N"]) -> Scaled:
        """Return twice the values."""
        # HOLE 1/1: twice as much; set ``values``.
        values = 2 * values
        # END HOLE
        return Scaled(values, 2.0)
''',
    "properties.py": '''"""What holds of scaling."""

from hypothesis import given
from scaler_interface import Scaled

from groundup.core.testing import assert_equal, claim, hole, tensors


@claim("Values are doubled, and the result says so.")
@hole(1)
@given(x=tensors((3,)))
def test_values_are_doubled(impl, reference, x):
    got = impl().scale(x)
    assert_equal(type(got) is Scaled, True, what="whether the result is a Scaled")
    assert_equal(got.values, x + x)
    assert_equal(got.by, 2.0)
''',
    "misconceptions.toml": """[[misconception]]
id = "trebles"
in = "BrandNew.scale"
edit = ["2 * values", "3 * values"]
says = { en = "Three times as much." }
""",
}


@pytest.fixture
def with_an_interface_of_its_own(environment: Environment) -> Environment:
    """A distribution whose interface is in a top-level module beside the package, installed in editable mode."""
    assert environment.learn("author", "new", "brand-new", "--interface", "Optimizer").returncode == 0
    folder = environment.here / "groundup-brand-new"
    package = folder / "groundup_brand_new"
    (folder / "scaler_interface.py").write_text(INTERFACE)
    for name, text in OWN.items():
        (package / name).write_text(text)
    edited(package / "technique.toml", '"groundup.core.interfaces.optimizer:Optimizer"', '"scaler_interface:Scaler"')
    edited(package / "technique.toml", "implements =", 'imports = ["scaler_interface"]\nimplements =')
    edited(folder / "pyproject.toml", "[tool.setuptools]\n", '[tool.setuptools]\npy-modules = ["scaler_interface"]\n')
    environment.install(folder, "--editable")
    return environment


def edited(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.soak
@pytest.mark.parametrize("layer", sandbox.LAYERS)
def test_an_interface_of_its_own_is_graded_in_every_layer(
    with_an_interface_of_its_own: Environment, layer: str
) -> None:
    if layer in sandbox.offer().lacks:
        pytest.skip(f"this machine has no {layer}")
    learn, asked = with_an_interface_of_its_own.learn, {sandbox.ASKED_BY: layer}
    solution = with_an_interface_of_its_own.here / "groundup-brand-new" / "groundup_brand_new" / "solution.py"
    graded = learn("grade", "brand-new", "--attempt", str(solution), "--json", **asked)
    verdict = json.loads(graded.stdout)
    assert verdict["passed"], graded.stdout
    assert verdict["containment"] == layer
    wrong = solution.read_text().replace("2 * values", "3 * values")
    (with_an_interface_of_its_own.here / "wrong.py").write_text(wrong)
    graded = learn("grade", "brand-new", "--attempt", "wrong.py", "--json", **asked)
    assert [d["id"] for d in json.loads(graded.stdout)["diagnosis"]] == ["trebles"]
    stolen = "from groundup_brand_new.solution import BrandNew\n"
    (with_an_interface_of_its_own.here / "stolen.py").write_text(stolen)
    graded = learn("grade", "brand-new", "--attempt", "stolen.py", "--json", **asked)
    assert "an attempt cannot import 'groundup_brand_new" in json.loads(graded.stdout)["problem"]


@pytest.mark.soak
def test_an_interface_of_its_own_keeps_the_rules(with_an_interface_of_its_own: Environment) -> None:
    rules = [word for rule in ("imports", "interface", "exercise") for word in ("--rule", rule)]
    assert with_an_interface_of_its_own.learn("author", "stubs", "brand-new").returncode == 0
    checked = with_an_interface_of_its_own.learn("author", "check", "brand-new", *rules)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "what attempts have, and scaler_interface" in checked.stdout
