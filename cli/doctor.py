"""``learn doctor``."""

from __future__ import annotations

import importlib.metadata
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

import click

from groundup.cli.context import (
    find_workspace,
    first_day,
    json_option,
    lang_option,
    open_state,
    print_json,
    registry,
)
from groundup.cli.layout import wrapped
from groundup.cli.names import COMMANDS, spoken
from groundup.cli.words import languages, ntr, told, tr
from groundup.core.errors import EXIT_BROKEN, AttemptDied, GroundupError
from groundup.core.messages import series

LAYERS_ABOVE = {"landlock": "namespaces", "process": "landlock"}


@dataclass(frozen=True)
class Finding:
    """The result of one check. ``state``: ok, lacking (some feature is unavailable), or broken (grading fails)."""

    name: str
    state: str
    found: str
    cost: str = ""


@click.command("doctor", short_help="Check what this machine offers, and what each lack costs.")
@json_option
@lang_option
def command(as_json: bool, lang: str | None) -> None:
    """Check what this machine offers, and say what each missing part costs. Exit code 3 if grading cannot work."""
    checks = (_python, _torch, _triton, _gpu, _gloo, _fonts, _containment, _grading, _warm, _state, _plugins)
    findings = []
    for check in checks:
        findings.append(_carefully(check))
        if not as_json:
            _show(findings[-1])
    if as_json:
        print_json([asdict(f) for f in findings])
    raise SystemExit(EXIT_BROKEN if any(f.state == "broken" for f in findings) else 0)


def _carefully(check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except GroundupError as error:
        return Finding(check.__name__.strip("_"), "broken", told(error.message))
    except (Exception, AttemptDied) as error:  # one failed check does not stop the others
        return Finding(check.__name__.strip("_"), "broken", f"{type(error).__name__}: {error}")


def _show(finding: Finding) -> None:
    mark, colour = {"ok": ("✓", "green"), "lacking": ("–", "yellow"), "broken": ("✗", "red")}[finding.state]
    click.echo(wrapped(spoken(finding.found), first=f"{click.style(mark, fg=colour)} {finding.name:<12} "))
    if finding.cost:
        click.echo(wrapped(finding.cost, first=" " * 15))


def _python() -> Finding:
    return Finding("python", "ok", tr("{version} at {path}", version=platform.python_version(), path=sys.executable))


def _torch() -> Finding:
    import torch

    version, count = torch.__version__, torch.get_num_threads()
    return Finding("torch", "ok", ntr("{version}, 1 thread", "{version}, {count} threads", count, version=version))


def _triton() -> Finding:
    try:
        version = importlib.metadata.version("triton")
    except importlib.metadata.PackageNotFoundError:
        cost = tr("Triton kernels cannot be graded here; it runs on Linux only.")
        return Finding("triton", "lacking", tr("not installed"), cost)
    return Finding("triton", "ok", tr("{version}; without a GPU it interprets kernels", version=version))


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("gpu", "ok", torch.cuda.get_device_name(0))
    cost = tr("Everything grades without one; kernels are interpreted, speed is not measured.")
    return Finding("gpu", "lacking", tr("none"), cost)


def _gloo() -> Finding:
    import torch.distributed

    if torch.distributed.is_available() and torch.distributed.is_gloo_available():
        return Finding("gloo", "ok", tr("available"))
    cost = tr("Labs of distributed techniques cannot run here; they still grade.")
    return Finding("gloo", "lacking", tr("not in this torch"), cost)


def _fonts() -> Finding:
    from groundup.grader.learner.picture import chinese_font

    if font := chinese_font():
        return Finding("fonts", "ok", tr("pictures can be labelled in Chinese ({font})", font=font))
    cost = tr("With --lang zh the labels in pictures are English: install fonts-wqy-zenhei or fonts-noto-cjk (Debian).")
    return Finding("fonts", "lacking", tr("none with Chinese"), cost)


def _containment() -> Finding:
    from groundup.grader.process import sandbox

    layer = sandbox.chosen()
    if layer == "namespaces":
        found = tr("namespaces: an attempt has no network and sees few files; only its own are writable")
        return Finding("containment", "ok", found)
    asked = tr("set by {name}", name=sandbox.ASKED_BY)
    stronger = LAYERS_ABOVE[layer]
    why = told(sandbox.offer().lacks.get(stronger, "")) or asked
    if layer == "landlock":
        return Finding(
            "containment",
            "lacking",
            tr("landlock: the kernel denies an attempt access to other files, sockets and processes ({why})", why=why),
            tr("Attempts cannot write files, and labs of distributed techniques can reach the network."),
        )
    return Finding(
        "containment",
        "lacking",
        tr("process: own process, own session, limits on time, memory, files ({why})", why=why),
        tr("An attempt can read your files and use the network: grade only code that you trust as you trust your own."),
    )


def _grading() -> Finding:
    from groundup.grader.process.attempt import AttemptProcess, Program
    from groundup.grader.process.fork_server import ForkServer
    from groundup.grader.process.proxy import proxy

    def one() -> int:
        return 1

    program = Program("def one():\n    return 1\n", "one.py", "one")
    seconds = []
    with ForkServer() as server:
        for _ in range(2):
            began = time.monotonic()
            process = AttemptProcess(server, program, seed=0, call_seconds=5, total_seconds=30)
            answer = proxy(process, "one", one)()
            process.close()
            seconds.append(time.monotonic() - began)
            if answer != 1:
                return Finding("grading", "broken", tr("a process answered {answer!r} instead of 1", answer=answer))
    cold, warm = seconds
    found = tr("a process starts in {cold:.1f} s cold, {warm:.0f} ms after that", cold=cold, warm=1000 * warm)
    return Finding("grading", "ok", found)


def _warm() -> Finding:
    from groundup.cli import warm

    why = {
        "off": tr("{name} is 0", name=warm.TURNED_OFF_BY),
        "platform": tr("only on Linux"),
        "folder": tr("there is no private folder for its socket"),
        "process": tr("this 'learn' is not the installed command"),
    }
    if reason := warm.unusable():
        return Finding("warm", "lacking", why[reason], tr("Each 'learn grade' imports everything anew: seconds."))
    try:
        told = warm.ask(warm.place())
    except TimeoutError:
        return Finding("warm", "lacking", tr("it does not answer"), tr("The next 'learn grade' starts another."))
    if told is None:
        return Finding("warm", "ok", tr("not running; the next 'learn grade' starts one for later gradings"))
    return Finding(
        "warm",
        "ok",
        tr(
            "process {pid}, {count} gradings; it ends when none has come for {minutes} minutes",
            pid=told["pid"],
            count=told["grades"],
            minutes=round(told["idle_seconds"] / 60),
        ),
    )


def _state() -> Finding:
    workspace = find_workspace()
    if workspace is None:
        return Finding("workspace", "ok", tr("none here; 'learn start {day}' makes one", day=first_day()))
    with open_state(workspace) as state:
        count = state.gradings()
    recorded = ntr(
        "{folder}, 1 grading recorded", "{folder}, {count} gradings recorded", count, folder=workspace.folder
    )
    return Finding("workspace", "ok", recorded)


def _plugins() -> Finding:
    from groundup.cli.plugin_commands import plugin_commands
    from groundup.grader.learner.quiz import question_kinds

    known = registry()
    commands, refused = plugin_commands(known, COMMANDS)
    translated = [p for lang in languages() for p in known.in_language(lang).problems if p not in known.problems]
    if problems := [*known.problems, *translated, *refused, *question_kinds(known)[1]]:
        return Finding("plugins", "broken", told(series(p.message for p in problems)))
    techniques, roadmaps = len(known.techniques), len(known.roadmaps)
    counted = (
        ntr("1 technique", "{count} techniques", techniques),
        ntr("1 roadmap", "{count} roadmaps", roadmaps),
        *(f"'learn {name}'" for name in sorted(commands)),
    )
    return Finding("plugins", "ok", tr(", ").join(counted))
