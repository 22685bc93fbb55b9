from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import groundup.core
from groundup.core.errors import EnvironmentProblem, UsageProblem
from groundup.grader.process import sandbox
from groundup.grader.process.attempt import AttemptProcess, Program
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy
from groundup.grader.process.sandbox import Offer, View

ROOT = Path(groundup.core.__file__).parents[1]
NONE = {"namespaces": "no bubblewrap", "landlock": "no Landlock"}
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has layers to choose from")


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(sandbox.ASKED_BY, raising=False)
    sandbox.offer.cache_clear()
    yield
    sandbox.offer.cache_clear()


def offer_only(monkeypatch: pytest.MonkeyPatch, layer: str, asked: str = "") -> None:
    lacks = dict(list(NONE.items())[: sandbox.LAYERS.index(layer)])
    monkeypatch.setattr(sandbox, "offer", lambda: Offer(layer, lacks))
    monkeypatch.setenv(sandbox.ASKED_BY, asked)


# Which layers this machine has


@linux
@pytest.mark.usefixtures("offered")
def test_without_bubblewrap_landlock_is_next(monkeypatch: pytest.MonkeyPatch) -> None:
    if sandbox._kernel_lacks():
        pytest.skip("this kernel has no Landlock")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert sandbox.offer().layer == "landlock"
    assert "apt install bubblewrap" in sandbox.offer().lacks["namespaces"]


@linux
@pytest.mark.usefixtures("offered")
def test_a_bubblewrap_that_may_not_make_namespaces_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "bwrap"
    broken.write_text("#!/bin/sh\necho 'bwrap: setting up uid map: Permission denied' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(broken))
    assert sandbox.offer().lacks["namespaces"].endswith("(bwrap: setting up uid map: Permission denied)")


@linux
@pytest.mark.usefixtures("offered")
def test_without_landlock_or_filters_a_process_is_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox.jail, "landlock_abi", lambda: 0)
    assert sandbox.offer().layer == "process"
    assert "Linux 5.13" in sandbox.offer().lacks["landlock"]
    sandbox.offer.cache_clear()
    monkeypatch.undo()
    monkeypatch.setattr(sandbox.jail, "has_seccomp", lambda: False)
    assert "cannot be filtered" in sandbox.offer().lacks["landlock"]


@pytest.mark.usefixtures("offered")
def test_another_system_than_linux_has_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert sandbox.offer() == Offer("process", dict.fromkeys(("namespaces", "landlock"), "it needs Linux"))


# The chosen layer, and the required one


@pytest.mark.parametrize("layer", sandbox.LAYERS)
def test_the_strongest_is_chosen_and_a_weaker_one_may_be_asked_for(monkeypatch: pytest.MonkeyPatch, layer: str) -> None:
    offer_only(monkeypatch, layer)
    assert sandbox.chosen() == layer
    for weaker in sandbox.LAYERS[sandbox.LAYERS.index(layer) :]:
        offer_only(monkeypatch, layer, asked=weaker)
        assert sandbox.chosen() == weaker


def test_a_layer_that_is_not_there_is_not_replaced_by_a_weaker_one(monkeypatch: pytest.MonkeyPatch) -> None:
    offer_only(monkeypatch, "landlock", asked="namespaces")
    with pytest.raises(EnvironmentProblem, match="'namespaces', which this machine does not have: no bubblewrap"):
        sandbox.chosen()
    with pytest.raises(EnvironmentProblem):
        ForkServer()
    offer_only(monkeypatch, "landlock", asked="docker")
    with pytest.raises(UsageProblem, match="it may be namespaces, landlock or process"):
        sandbox.chosen()


@pytest.mark.parametrize(
    ("what", "met_by"),
    [
        ("strong", ["namespaces", "landlock"]),
        ("namespaces", ["namespaces"]),
        ("landlock", ["namespaces", "landlock"]),
        ("process", ["namespaces", "landlock", "process"]),
    ],
)
def test_a_demand_is_met_by_what_is_as_strong_or_stronger(
    monkeypatch: pytest.MonkeyPatch, what: str, met_by: list[str]
) -> None:
    for layer in sandbox.LAYERS:
        offer_only(monkeypatch, layer)
        if layer in met_by:
            sandbox.demand(what)
        else:
            lacked = NONE["landlock" if what == "strong" else what]
            with pytest.raises(EnvironmentProblem, match=f"in '{layer}' here: {lacked}. Nothing was run."):
                sandbox.demand(what)


def test_what_is_asked_for_never_weakens_what_is_demanded(monkeypatch: pytest.MonkeyPatch) -> None:
    offer_only(monkeypatch, "namespaces", asked="process")
    with pytest.raises(EnvironmentProblem, match="LEARN_CONTAINMENT asks for 'process'"):
        sandbox.demand("strong")
    with pytest.raises(UsageProblem, match="No containment 'total'"):
        sandbox.demand("total")


# What an attempt may read


def test_nothing_that_is_not_for_attempts_lies_in_what_they_may_read() -> None:
    secret = [ROOT / p for p in ("solutions", "exercises", "plugins", "quizzes", "grader/judging", "core/testing")]
    secret += [Path(pytest.__file__).parent, Path("/etc/passwd"), Path.home() / ".ssh"]
    for read, _ in (sandbox.view().of_landlock(), sandbox.view().of_namespaces()):
        modules = [path for path in read if path not in sandbox.view().folders]
        for path in map(Path, modules):
            assert not any(one.is_relative_to(path) for one in secret), path
    read, _ = sandbox.view().of_landlock()
    assert not any(one.is_relative_to(Path(path).resolve()) for one in secret for path in read)


def test_all_that_every_attempt_needs_lies_in_it() -> None:
    import torch

    read, listed = sandbox.view().of_landlock()
    needed = [
        torch.__file__,
        os.__file__,
        str(sandbox.START),
        str(ROOT / "core/plain.py"),
        os.path.realpath(sys.executable),
    ]
    for file in needed:
        assert any(Path(file).is_relative_to(Path(path).resolve()) or file == path for path in read), file
    assert str(Path(torch.__file__).parents[1]) in listed


def test_what_a_manifest_lists_is_added() -> None:
    without, with_it = sandbox.view().modules, sandbox.view(["iniconfig", "nowhere"]).modules
    assert {Path(path).name.partition("-")[0] for path in set(with_it) - set(without)} == {"iniconfig"}


def test_around_what_is_hidden_everything_beside_it_is_read(tmp_path: Path) -> None:
    for name in ("lib/a.so", "lib/python/os.py", "lib/python/site-packages/solutions.py", "lib/python/json/x.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "lib/link").symlink_to("python/site-packages")
    view = View((str(tmp_path / "lib"),), (str(tmp_path / "lib/python/site-packages"),), (), ())
    read, listed = view.of_landlock()
    here = {str(Path(path).relative_to(tmp_path)) for path in read if path.startswith(str(tmp_path))}
    assert here == {"lib/a.so", "lib/python/os.py", "lib/python/json"}
    assert [str(Path(path).relative_to(tmp_path)) for path in listed] == ["lib", "lib/python"]


@pytest.mark.skipif("namespaces" in sandbox.offer().lacks, reason="bubblewrap cannot make namespaces here")
def test_bubblewrap_shows_the_view_and_hides_what_is_hidden_in_it(tmp_path: Path) -> None:
    for name in ("lib/os.py", "lib/site-packages/torch/a.py", "lib/site-packages/solutions/b.py", "private/c.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    site = str(tmp_path / "lib/site-packages")
    seen = sandbox.view()
    view = View((*seen.folders, str(tmp_path / "lib")), (*seen.hidden, site), (*seen.modules, site + "/torch"), ())
    look = f"import os, json; print(json.dumps([d for d in os.walk({str(tmp_path)!r})]))"
    line = sandbox.command(view, "/tmp/groundup-test", [sys.executable, "-I", "-c", look])
    found = json.loads(subprocess.run(line, capture_output=True, text=True, check=True).stdout)
    names = {str(Path(folder).relative_to(tmp_path) / name) for folder, _, files in found for name in files}
    assert names == {"lib/os.py", "lib/site-packages/torch/a.py"}


@pytest.mark.soak
def test_what_a_manifest_lists_reaches_an_attempt_that_comes_later() -> None:
    with ForkServer() as server:
        for imports, known in ((), False), (("iniconfig",), True), ((), False):
            source = "def f():\n    try: import iniconfig\n    except ImportError: return False\n    return True"
            program = Program(source, "f.py", "f", imports)
            process = AttemptProcess(server, program, seed=0, call_seconds=20, total_seconds=60)
            assert proxy(process, "f", lambda: None)() is known
            process.close()


# As another user


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
@pytest.mark.parametrize("layer", [name for name in ("namespaces", "landlock") if name not in sandbox.offer().lacks])
def test_whoever_is_not_root_grades_in_the_same_layers(layer: str, tmp_path: Path) -> None:
    code = "import os, sys\nfrom groundup.grader.process.fork_server import ForkServer\n"
    code += "from groundup.grader.process.attempt import AttemptProcess, Program\n"
    code += "from groundup.grader.process.proxy import proxy\n"
    code += "with ForkServer() as server:\n"
    code += "    program = Program(sys.argv[1], 'f.py', 'f')\n"
    code += "    process = AttemptProcess(server, program, seed=0, call_seconds=20, total_seconds=60)\n"
    code += "    print(server.containment, os.getuid(), proxy(process, 'f', lambda: None)())"
    source = "import os\ndef f():\n    try: open('/etc/passwd')\n    except OSError: pass\n    else: return 'read'\n"
    source += "    try: os.fork()\n    except OSError: return 'refused'"
    base = sys.base_prefix
    # A view of this machine in which every user can reach the interpreter, which may be in /root.
    parents = [word for parent in reversed(Path(base).parents[:-2]) for word in ("--dir", str(parent))]
    reach = ["--tmpfs", "/root", *parents, "--ro-bind", base, base] if base.startswith("/root/") else []
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    opened = ["bwrap", "--cap-add", "ALL", "--dev-bind", "/", "/", *reach, "--"]
    if shutil.which("bwrap") is None or shutil.which("setpriv") is None:
        pytest.skip("this needs bubblewrap and setpriv")
    done = subprocess.run(
        [*opened, *as_nobody, sys.executable, "-c", code, source], capture_output=True, text=True, check=False,
        env={"PATH": os.environ["PATH"], sandbox.ASKED_BY: layer, "HOME": "/tmp"}, cwd="/tmp",
    )  # fmt: skip
    assert done.stdout == f"{layer} 65534 refused\n", done.stderr
