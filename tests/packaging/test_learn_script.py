"""``./learn`` in a clone of a tiny project: real virtual environments, the real pip, a PyTorch of a few bytes."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pip
import pytest

ROOT = Path(__file__).resolve().parents[2]
REAL_PYTHON = getattr(sys, "_base_executable", sys.executable)

PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tiny"
version = "1"
dependencies = ["torch>=2.6,<2.14"]
"""

# Builds the tiny project's editable wheel by hand. It creates the file that BUILDING names, which tells the test that
# pip is running, and waits until the test removes the file.
BACKEND = '''\
import os, pathlib, time, tomllib, zipfile

FILES = {
    "tiny.py": """
import os, sys
def main():
    print(f"cwd={os.getcwd()} args={sys.argv[1:]} stdin={sys.stdin.read()!r} lock={os.path.exists('/dev/fd/9')}")
    if sys.argv[1:] == ["called"]:
        print(os.environ["LEARN_COMMAND"])
    return int(os.environ.get("TINY_EXIT", "0"))
""",
    "tiny-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nGenerator: tiny\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "tiny-1.dist-info/entry_points.txt": "[console_scripts]\\nlearn = tiny:main\\n",
}

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    if building := os.environ.get("BUILDING"):
        pathlib.Path(building).touch()
        while os.path.exists(building):
            time.sleep(0.02)
    needs = tomllib.loads(pathlib.Path("pyproject.toml").read_text())["project"]["dependencies"]
    metadata = "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1\\n" + "".join(f"Requires-Dist: {n}\\n" for n in needs)
    with zipfile.ZipFile(os.path.join(wheel_directory, "tiny-1-py3-none-any.whl"), "w") as wheel:
        for name, text in {**FILES, "tiny-1.dist-info/METADATA": metadata, "tiny-1.dist-info/RECORD": ""}.items():
            wheel.writestr(name, text)
    return "tiny-1-py3-none-any.whl"

build_wheel = build_editable
'''

# A Python whose virtual environments use the pip of the tests' own Python: one takes 0.1 s to make instead of 3 s.
QUICK_PYTHON = """\
#!/bin/sh
case " $* " in *" -m venv "*) ;; *) exec "{real}" "$@" ;; esac
for venv; do :; done
"{real}" -I -m venv --without-pip "$venv" || exit
for site in "$venv"/lib/python3*/site-packages; do echo "{borrowed}" >"$site/pip.pth"; done
printf '#!%s\\n# pip\\n' "$venv/bin/python" >"$venv/bin/pip"
"""

# A Python that reports a property which the tests' own Python does not have.
ODD_PYTHON = """\
#!/bin/sh
exec "{real}" -I -c 'import sys; {oddity}; exec(sys.argv.pop(1))' "$3" "$4"
"""


class Machine:
    """A clone of the tiny project, and the environment variables for ``./learn``."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone, self.wheels = folder, folder / "clone", folder / "wheels"
        self.venv = self.clone / ".venv"
        self.clone.mkdir()
        self.wheels.mkdir()
        (self.clone / "pyproject.toml").write_text(PYPROJECT)
        (self.clone / "backend.py").write_text(BACKEND)
        shutil.copy(ROOT / "learn", self.clone)
        (folder / "borrowed").mkdir()
        (folder / "borrowed" / "pip").symlink_to(Path(pip.__file__).parent)
        python = self.program("python", QUICK_PYTHON.format(real=REAL_PYTHON, borrowed=folder / "borrowed"))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHON": str(python),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
        }

    def program(self, name: str, text: str) -> Path:
        """Write an executable script into a folder of its own."""
        path = self.folder / f"with-{name}" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return path

    def offer(self, *versions: str, folder: Path | None = None) -> None:
        """Put wheels of PyTorch into the folder that pip searches."""
        for version in versions:
            info = f"torch-{version}.dist-info"
            with zipfile.ZipFile((folder or self.wheels) / f"torch-{version}-py3-none-any.whl", "w") as wheel:
                wheel.writestr("torch/__init__.py", "")
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n")
                wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
                wheel.writestr(f"{info}/RECORD", "")

    def start(
        self, *args: str, cwd: Path | None = None, script: Path | str | None = None, **more: str
    ) -> subprocess.Popen[str]:
        """Start ``./learn`` in a process group of its own."""
        return subprocess.Popen(
            [script or self.clone / "learn", *args],
            cwd=cwd or self.clone,
            env=self.environment | more,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def learn(self, *args: str, stdin: str = "", **options: Any) -> subprocess.CompletedProcess[str]:
        """Run ``./learn`` to its end."""
        with self.start(*args, **options) as process:
            out, err = process.communicate(stdin, timeout=300)
        return subprocess.CompletedProcess(args, process.returncode, out, err)


def until(path: Path) -> None:
    """Wait until ``path`` exists."""
    for _ in range(6000):
        if path.exists():
            return
        time.sleep(0.02)
    raise TimeoutError(path)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    fresh = Machine(tmp_path)
    fresh.offer("2.13.0+cpu", "2.13.0", "2.14.0")
    return fresh


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine whose clone is set up; tests must leave it set up."""
    machine = Machine(tmp_path_factory.mktemp("ready"))
    machine.offer("2.13.0+cpu")
    assert machine.learn("--set-up").stderr.endswith("learn: ready\n")
    return machine


def test_the_first_use_sets_up_and_goes_on_to_the_command(machine: Machine) -> None:
    elsewhere = machine.folder / "my work"
    elsewhere.mkdir()
    result = machine.learn("start", "day 7", stdin="answer", cwd=elsewhere)
    assert result.stdout == f"cwd={elsewhere} args=['start', 'day 7'] stdin='answer' lock=False\n"
    assert result.returncode == 0
    assert re.findall(r"\d/3 [^ ]+", result.stderr) == ["1/3 making", "2/3 PyTorch", "3/3 installing"]
    assert "2.13.0+cpu, the CPU build" in result.stderr
    assert (machine.venv / "installed.toml").read_text() == PYPROJECT
    assert (machine.clone / "build/ns/groundup").resolve() == machine.clone


def test_set_up_alone_runs_no_command(machine: Machine) -> None:
    first, again = machine.learn("--set-up"), machine.learn("--set-up")
    assert (first.returncode, first.stdout) == (0, "")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_later_use_needs_neither_pip_nor_another_python(ready: Machine) -> None:
    result = ready.learn("list", PYTHON="/nowhere/python", PIP_FIND_LINKS="/nowhere")
    assert (result.stdout, result.stderr) == (f"cwd={ready.clone} args=['list'] stdin='' lock=False\n", "")


def test_it_runs_through_relative_links_and_keeps_the_folder_it_was_called_from(ready: Machine) -> None:
    links = ready.folder / "links"
    links.mkdir()
    (links / "near").symlink_to("../clone/learn")
    (links / "far").symlink_to("near")
    for script in ("links/far", "clone/../links/near"):
        assert ready.learn(script=script, cwd=ready.folder).stdout.startswith(f"cwd={ready.folder} args=[]")
    on_path = ready.learn(script="far", PATH=f"{links}:{ready.environment['PATH']}", cwd=links)
    assert on_path.stdout.startswith(f"cwd={links} args=[]")


def test_messages_can_name_the_command_as_it_was_called(ready: Machine) -> None:
    path = f"{ready.clone}:{ready.environment['PATH']}"
    assert ready.learn("called", script="./learn").stdout.endswith("\n./learn\n")
    assert ready.learn("called", script="clone/learn", cwd=ready.folder).stdout.endswith("\nclone/learn\n")
    assert ready.learn("called", script="learn", cwd=ready.folder, PATH=path).stdout.endswith("\nlearn\n")


def test_the_exit_code_is_the_commands(ready: Machine) -> None:
    assert ready.learn(TINY_EXIT="1").returncode == 1


def test_what_pythonpath_and_pythonhome_name_does_not_reach_the_command(ready: Machine) -> None:
    (ready.folder / "tiny.py").write_text("raise SystemExit('the wrong tiny')")
    result = ready.learn("list", PYTHONPATH=str(ready.folder), PYTHONHOME="/nowhere")
    assert result.stdout.endswith("args=['list'] stdin='' lock=False\n")


def test_another_pyproject_installs_into_the_venv_that_is_there(machine: Machine) -> None:
    machine.learn("--set-up")
    (machine.venv / "mine").touch()
    (machine.clone / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    result = machine.learn("list")
    assert "installing again" in result.stderr
    assert (result.returncode, (machine.venv / "mine").exists()) == (0, True)
    assert machine.learn("list").stderr == ""


def test_a_moved_clone_is_set_up_anew(ready: Machine, tmp_path: Path) -> None:
    shutil.copytree(ready.clone, tmp_path / "moved", symlinks=True)
    result = ready.learn("list", script=tmp_path / "moved/learn")
    assert "made for another folder" in result.stderr
    assert result.stdout.startswith(f"cwd={ready.clone} args=['list']")
    assert str(tmp_path / "moved/.venv/bin/python") in (tmp_path / "moved/.venv/bin/learn").read_text()


@pytest.mark.parametrize(
    "damage", ["empty", *(pytest.param(d, marks=pytest.mark.soak) for d in ("no interpreter", "unfinished"))]
)
def test_a_half_made_venv_is_made_anew(machine: Machine, damage: str) -> None:
    if damage == "empty":
        machine.venv.mkdir()
    else:
        machine.learn("--set-up")
        if damage == "no interpreter":
            (machine.venv / "bin/python").unlink()
            (machine.venv / "bin/python").symlink_to("/usr/bin/a-python-since-deleted")
        else:
            (machine.venv / "installed.toml").rename(machine.venv / "unfinished.toml")
    (machine.venv / "leftover").touch()
    result = machine.learn("list")
    assert "making .venv anew" in result.stderr
    assert (result.returncode, (machine.venv / "leftover").exists()) == (0, False)
    assert not (machine.venv / "unfinished.toml").exists()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), pytest.param(signal.SIGKILL, -signal.SIGKILL, marks=pytest.mark.soak)]
)
def test_a_set_up_that_was_stopped_is_repaired_by_the_next_use(machine: Machine, number: int, code: int) -> None:
    building = machine.folder / "building"
    with machine.start("list", BUILDING=str(building)) as process:
        until(building)
        os.killpg(process.pid, number)
        process.communicate(timeout=300)
    assert process.returncode == code
    assert not (machine.venv / "installed.toml").exists()
    result = machine.learn("list")
    assert "its last set-up did not finish" in result.stderr
    assert result.returncode == 0


@pytest.mark.soak
def test_an_update_that_was_stopped_is_repaired_even_where_pyproject_is_again_the_old_one(machine: Machine) -> None:
    machine.learn("--set-up")
    (machine.clone / "pyproject.toml").write_text(PYPROJECT + "# changed\n")
    building = machine.folder / "building"
    with machine.start("list", BUILDING=str(building)) as process:
        until(building)
        os.killpg(process.pid, signal.SIGKILL)
    (machine.clone / "pyproject.toml").write_text(PYPROJECT)
    assert "its last set-up did not finish" in machine.learn("list").stderr


def test_personal_settings_of_pip_that_install_elsewhere_do_no_harm(machine: Machine) -> None:
    result = machine.learn("list", PIP_USER="1", PIP_TARGET=str(machine.folder / "target"))
    assert (result.returncode, (machine.folder / "target").exists()) == (0, False)


@pytest.mark.soak
def test_of_two_first_uses_at_once_one_waits_for_the_other(machine: Machine) -> None:
    building = machine.folder / "building"
    with machine.start("first", BUILDING=str(building)) as first:
        until(building)
        with machine.start("second") as second:
            assert second.stderr is not None
            waiting = second.stderr.readline()
            building.unlink()
            outputs = first.communicate(timeout=300), second.communicate(timeout=300)
    assert "another ./learn is setting up this clone" in waiting
    assert (first.returncode, second.returncode) == (0, 0)
    assert "args=['first']" in outputs[0][0]
    assert "args=['second']" in outputs[1][0]
    assert outputs[1][1] == ""


def test_a_machine_without_python_gets_one_sentence(machine: Machine) -> None:
    del machine.environment["PYTHON"]
    result = machine.learn("list", PATH="/nowhere")
    assert result.stderr == (
        "learn: Groundup needs Python 3.11 to 3.14, and there is none on PATH: install one, or name it with "
        "PYTHON=/path/to/python3.12 ./learn\n"
    )
    assert (result.returncode, result.stdout, machine.venv.exists()) == (3, "", False)


@pytest.mark.parametrize("version", ["3.10", "3.15"])
def test_pythons_that_do_not_fit_are_named(machine: Machine, version: str) -> None:
    oddity = f"sys.version_info = ({version.replace('.', ', ')})"
    odd = machine.program("python3", ODD_PYTHON.format(real=REAL_PYTHON, oddity=oddity))
    named = machine.learn("list", PYTHON=str(odd))
    assert named.stderr == (
        f"learn: Groundup needs Python 3.11 to 3.14, and {odd} is {version}: set PYTHON to another.\n"
    )
    found = machine.learn("list", PYTHON="", PATH=str(odd.parent))
    assert f"3.14, and python3 is {version}: install one" in found.stderr
    assert (named.returncode, found.returncode) == (3, 3)


def test_a_python_without_venv_is_told_what_to_install(machine: Machine) -> None:
    odd = machine.program("python3", ODD_PYTHON.format(real=REAL_PYTHON, oddity='sys.modules["ensurepip"] = None'))
    result = machine.learn("list", PYTHON=str(odd))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"Python {version} is here without its venv module" in result.stderr
    assert f"apt install python{version}-venv" in result.stderr
    assert (result.returncode, result.stderr.count("\n")) == (3, 1)


def test_no_build_of_pytorch_in_reach_stops_before_the_install(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.offer("2.14.0")
    result = machine.learn("list")
    assert "pip finds no PyTorch" in result.stderr
    assert "PIP_FIND_LINKS" in result.stderr
    assert "3/3" not in result.stderr
    assert result.returncode == 3


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the default build has no CUDA")
@pytest.mark.parametrize("gpu", [True, False])
def test_the_size_of_the_build_with_cuda_is_told_before_and_without_a_gpu_how_to_avoid_it(
    tmp_path: Path, gpu: bool
) -> None:
    if not gpu and Path("/proc/driver/nvidia").exists():
        pytest.skip("this machine has a GPU")
    machine = Machine(tmp_path)
    machine.offer("2.13.0")
    smi = machine.program("nvidia-smi", f"#!/bin/sh\nexit {0 if gpu else 9}\n")
    told = machine.learn("list", PATH=f"{smi.parent}:{machine.environment['PATH']}").stderr
    assert "2.7 GB to download" in told
    assert told.index("2.7 GB") < told.index("3/3")
    assert ("LEARN_TORCH_INDEX=ADDRESS ./learn" in told) is not gpu


def test_another_build_that_the_settings_of_pip_offer_is_taken_as_it_is(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.offer("2.13.0+cu130", "2.13.0")
    told = machine.learn("--set-up").stderr
    assert "PyTorch will be 2.13.0+cu130, as your settings of pip have it" in told
    assert "GB" not in told


def test_the_index_named_for_cpu_builds_is_asked_too(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    for index, version in (("default", "2.13.0"), ("cpu", "2.13.0+cpu")):
        folder = machine.folder / index / "torch"
        folder.mkdir(parents=True)
        machine.offer(version, folder=folder)
        (folder / "index.html").write_text("".join(f'<a href="{w.name}">{w.name}</a>' for w in folder.glob("*.whl")))
    indexes = {"PIP_NO_INDEX": "", "PIP_INDEX_URL": (machine.folder / "default").as_uri()}
    result = machine.learn("list", **indexes, LEARN_TORCH_INDEX=(machine.folder / "cpu").as_uri())
    assert "PyTorch will be 2.13.0+cpu" in result.stderr
    assert list(machine.venv.glob("lib/*/site-packages/torch-2.13.0+cpu.dist-info"))


@pytest.mark.soak
def test_a_failed_install_shows_the_end_of_its_log_and_the_next_step(machine: Machine) -> None:
    broken = PYPROJECT.replace('dependencies = ["', 'dependencies = ["no-such-distribution", "')
    (machine.clone / "pyproject.toml").write_text(broken)
    result = machine.learn("list")
    assert "    ERROR: No matching distribution found for no-such-distribution" in result.stderr
    assert result.stderr.endswith(f"run ./learn again. The whole log is {machine.venv}/install.log\n")
    assert (result.returncode, result.stdout) == (3, "")
    (machine.clone / "pyproject.toml").write_text(PYPROJECT)
    assert machine.learn("list").returncode == 0


def test_the_script_takes_the_pythons_that_pyproject_allows() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    script = (ROOT / "learn").read_text()
    assert declared["requires-python"] == ">=3.11"
    assert "torch>=2.6,<2.14" in declared["dependencies"], (
        "a newer torch may have builds for a newer Python: see ./learn"
    )
    assert "(3, 11) <= sys.version_info[:2] <= (3, 14)" in script


@pytest.mark.soak
def test_an_activated_venv_is_not_made_anew_with_its_own_python(machine: Machine) -> None:
    machine.learn("--set-up")
    (machine.venv / "installed.toml").rename(machine.venv / "unfinished.toml")
    result = machine.learn("list", PYTHON="", PATH=f"{machine.venv}/bin:{machine.environment['PATH']}")
    assert (result.returncode, "making .venv anew" in result.stderr) == (0, True)


@pytest.mark.soak
def test_a_fresh_clone_sets_up_for_real(tree: Path, tmp_path: Path) -> None:
    clone = shutil.copytree(tree, tmp_path / "clone with a space")
    result = subprocess.run([clone / "learn", "list"], cwd=tmp_path, capture_output=True, text=True, timeout=1800)
    assert "learn: ready\n" in result.stderr
    assert (result.returncode, "ppo" in result.stdout) == (0, True)
