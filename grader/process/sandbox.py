"""The containment of attempts on this machine, and the files that they may read. Imports no torch, to start fast.

There are three layers, strongest first. The layer is chosen once, before anything runs, and never weakened after that.

``namespaces``  bubblewrap: namespaces of its own, no network, few readable files; and all of ``landlock``
``landlock``    an ordinary process to which the kernel refuses other files and calls that affect other processes
``process``     a process of its own, with limits on time, memory and file size only
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import os
import shutil
import site
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import groundup.core
from groundup.core.errors import EnvironmentProblem, UsageProblem
from groundup.core.messages import Message, either
from groundup.grader.process.worker.imports import LIBRARIES, THEIR_NEEDS, own_modules
from groundup.grader.process.worker.scratch import BYTES

if sys.platform == "linux":
    from groundup.grader.process.worker import jail

LAYERS = ("namespaces", "landlock", "process")
DEMANDS = {"strong": "landlock"} | {layer: layer for layer in LAYERS}
"""Possible demands, each with the weakest layer that meets it."""
ASKED_BY = "LEARN_CONTAINMENT"
NAMESPACES = ("pid", "net", "ipc", "uts", "mnt")
PROBE_SECONDS = 10.0
START = Path(__file__).parent / "worker" / "start.py"

LIBRARY_FOLDERS = ("/lib", "/lib32", "/lib64", "/usr/lib", "/usr/lib32", "/usr/lib64", "/nix/store", "/gnu/store")
SYSTEM_FILES = (
    "/etc/ld.so.cache", "/etc/alternatives", "/usr/share/zoneinfo", "/sys/devices/system/cpu",
    "/sys/devices/system/node",
)  # fmt: skip
NETWORK_FILES = ("/sys/class/net", "/sys/devices/virtual/net")  # where gloo looks up a network interface
HARDWARE_FILES = (
    "/sys/bus/pci/devices",
    "/sys/devices",
)  # where gloo then looks for the interface's device, if it exists
DEVICES = ("/dev/zero", "/dev/random", "/dev/urandom")
NATIVE = ("nvidia", "cusparselt")  # the libraries of a CUDA build of torch: packages without a module to import


@dataclass(frozen=True)
class Offer:
    """The strongest layer that this machine supports, and why it supports no stronger one."""

    layer: str
    lacks: dict[str, Message] = field(default_factory=dict)


@functools.cache
def offer() -> Offer:
    """Detect what this machine supports; takes about 20 ms, once."""
    if sys.platform != "linux":
        why = Message("it needs Linux")
        return Offer("process", {"namespaces": why, "landlock": why})
    kernel = _kernel_lacks()
    lacks = {"namespaces": kernel or _bubblewrap_lacks(), "landlock": kernel}
    layer = next((layer for layer in LAYERS if not lacks.get(layer)), "process")
    return Offer(layer, {name: why for name, why in lacks.items() if why})


def chosen() -> str:
    """Return the layer to run attempts in: the strongest supported one, or the one that LEARN_CONTAINMENT names.

    Raises UsageProblem for an unknown name, EnvironmentProblem for a layer that is not supported here.
    """
    asked = os.environ.get(ASKED_BY, "")
    if not asked:
        return offer().layer
    if asked not in LAYERS:
        raise UsageProblem(
            "{name} is {asked!r}: it may be {layers}.", name=ASKED_BY, asked=asked, layers=either(LAYERS)
        )
    if why := offer().lacks.get(asked):
        raise EnvironmentProblem(
            "{name} asks for {asked!r}, which this machine does not have: {why}.",
            name=ASKED_BY,
            asked=asked,
            why=why,
        )
    return asked


def demand(what: str) -> None:
    """Raise EnvironmentProblem unless the chosen layer meets the demand: 'strong', or the name of a layer."""
    if what not in DEMANDS:
        raise UsageProblem("No containment {what!r}: it may be {demands}.", what=what, demands=[*DEMANDS])
    layer, weakest = chosen(), DEMANDS[what]
    if LAYERS.index(layer) <= LAYERS.index(weakest):
        return
    if layer != offer().layer:
        raise EnvironmentProblem(
            "Containment {what!r} is demanded, and {name} asks for {layer!r}. Unset it, or demand less.",
            what=what,
            name=ASKED_BY,
            layer=layer,
        )
    raise EnvironmentProblem(
        "Containment {what!r} is demanded, and attempts run in {layer!r} here: {why}. Nothing was run.",
        what=what,
        layer=layer,
        why=offer().lacks[weakest],
    )


@dataclass(frozen=True)
class View:
    """The files that an attempt may read."""

    folders: tuple[str, ...]
    """Folders with their contents, except ``hidden``."""
    hidden: tuple[str, ...]
    """Folders with installed packages, which include solutions."""
    modules: tuple[str, ...]
    """The interpreter, and the packages and modules that an attempt may import."""
    searched: tuple[str, ...]
    """Folders in which the interpreter looks for modules: they may be listed."""

    def of_namespaces(self) -> tuple[list[str], list[str]]:
        """Return what may be read and what may be listed under bubblewrap, where hidden files do not exist."""
        return [*self.folders, *self.modules, *DEVICES], [*self.searched]

    def of_landlock(self) -> tuple[list[str], list[str]]:
        """Return what may be read and what may be listed under Landlock, where hidden files exist and are left out."""
        read: list[str] = []
        listed: list[str] = []
        for folder in self.folders:
            _around(folder, frozenset(self.hidden), read, listed)
        return [*read, *self.modules, *DEVICES], [*listed, *self.searched]


def view(imports: Iterable[str] = ()) -> View:
    """Return the files for an attempt that may import ``imports`` in addition to what all attempts may import."""
    base = Path(sys.base_prefix)
    folders = dict.fromkeys([*LIBRARY_FOLDERS, str(base / "lib"), str(base / sys.platlibdir), *SYSTEM_FILES])
    there = [folder for folder in folders if Path(folder).exists()]
    own = Path(groundup.core.__file__).parents[1]
    sites = [Path(s) for s in site.getsitepackages([sys.prefix, sys.base_prefix])]
    torch = importlib.machinery.PathFinder.find_spec("torch")
    if torch and torch.origin and (other := Path(torch.origin).parents[1]) not in sites:
        sites.append(other)  # a folder named by a *.pth file
    hidden = {str(folder.resolve()) for folder in [*sites, own] if folder.exists()}
    imports = frozenset(imports)
    names = LIBRARIES | THEIR_NEEDS | imports
    further = [str(place.parent) for place in map(_place_of, sorted(imports)) if place]
    searched = [path for path in sys.path if Path(path) in sites and Path(path).is_dir()]
    searched = list(dict.fromkeys([*searched, *further]))
    modules = dict.fromkeys([*_interpreter(), *_installed(sorted(names), searched), *_own(own)])
    return View(tuple(there), tuple(_outermost(hidden)), tuple(modules), tuple(searched))


def places(imports: Iterable[str]) -> dict[str, int]:
    """Return the paths and inodes of the modules ``imports``."""
    return {str(path): path.stat().st_ino for path in map(_place_of, sorted(imports)) if path and path.exists()}


def command(view: View, scratch: str, program: list[str]) -> list[str]:
    """Return the bubblewrap command that runs ``program`` with no files but the view and a scratch folder.

    The scratch folder is a 64 MiB file system in memory; it disappears when the last process ends.
    """
    bubblewrap = shutil.which("bwrap")
    assert bubblewrap is not None
    line = [bubblewrap, *_isolated()]
    made = {"/"}

    def folder(path: str) -> None:
        """Make a folder and its parents. Bubblewrap itself would make the parents accessible only to their owner."""
        for above in [*reversed(Path(path).parents), Path(path)]:
            if str(above) not in made:
                made.add(str(above))
                line.extend(["--dir", str(above)])

    def show(path: str, within: Iterable[str]) -> None:
        if any(Path(path).is_relative_to(shown) for shown in within):
            return
        folder(str(Path(path).parent))
        if Path(path).is_symlink():
            line.extend(["--symlink", str(Path(path).readlink()), path])
        else:
            line.extend(["--ro-bind", path, path])

    shown: list[str] = []
    for path in sorted(view.folders):
        show(path, shown)
        shown.append(path)
    covered = [path for path in view.hidden if any(Path(path).is_relative_to(Path(s).resolve()) for s in shown)]
    for path in covered:
        line.extend(["--tmpfs", path])
    made |= {str(above) for path in [*shown, *covered] for above in [Path(path), *Path(path).parents]}
    for path in view.modules:
        if any(Path(path).is_relative_to(hidden) for hidden in covered):
            made.update(str(p) for p in Path(path).parents if any(h.startswith(f"{p}/") for h in covered))
            show(path, ())
        else:
            show(path, shown)
    for path in NETWORK_FILES:
        if Path(path).exists():
            folder(path)
            line.extend(["--ro-bind", path, path])
    line.extend(["--proc", "/proc", "--dev", "/dev"])
    folder(scratch)
    line.extend(["--size", str(BYTES), "--perms", "1777", "--tmpfs", scratch])
    for path in [*covered, "/"]:
        line.extend(["--remount-ro", path])
    return [*line, "--chdir", scratch, "--", *program]


def are_apart(namespaces: dict[str, str]) -> bool:
    """Whether all namespaces that a process reports differ from this process's."""
    own = {name: os.readlink(f"/proc/self/ns/{name}") for name in NAMESPACES}  # noqa: PTH115
    return all(namespaces.get(name, own[name]) != own[name] for name in NAMESPACES)


def _isolated() -> list[str]:
    """Return bubblewrap's options for namespaces and for dropping root's privileges."""
    namespaces = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    # A process of root switches to user nobody; until then it may have to read files that only root can read. Before
    # the fork server drops all capabilities, it limits the number of files in the scratch folder.
    names = ("SETUID", "SETGID", "DAC_READ_SEARCH", "SYS_ADMIN") if os.geteuid() == 0 else ("SYS_ADMIN",)
    kept = [word for name in names for word in ("--cap-add", f"CAP_{name}")]
    if os.geteuid() == 0:
        privileges = ["--cap-drop", "ALL", *kept]
    else:  # a bubblewrap with root's rights gives none of them to others
        bubblewrap = Path(shutil.which("bwrap") or "/")
        privileges = [] if bubblewrap.stat().st_mode & stat.S_ISUID else ["--unshare-user", *kept]
    # Not --die-with-parent: if bubblewrap is killed while it starts, its child would wait for it for ever. The fork
    # server itself detects that the judge is gone, and all processes in the namespaces end with the server.
    return [*namespaces, *privileges]


def _kernel_lacks() -> Message | None:
    if not jail.landlock_abi():
        return Message("this kernel has no Landlock (Linux 5.13 or newer, enabled at boot)")
    if not jail.has_seccomp():
        return Message("system calls cannot be filtered on this kernel or processor")
    return None


def _bubblewrap_lacks() -> Message | None:
    bubblewrap = shutil.which("bwrap")
    if bubblewrap is None:
        return Message("bubblewrap is not installed (on Debian and Ubuntu: apt install bubblewrap)")
    probe = ["--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--size", "4096", "--perms", "1777", "--tmpfs"]
    try:
        done = subprocess.run(
            [bubblewrap, *_isolated(), *probe, "/tmp", "--", bubblewrap, "--version"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PROBE_SECONDS,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return Message("bubblewrap does not run ({why})", why=error)
    if done.returncode == 0:
        return None
    said = done.stderr.strip().splitlines() or [Message("exit code {code}", code=done.returncode)]
    return Message("bubblewrap may not, or cannot, make namespaces here ({why})", why=said[-1])


def _interpreter() -> Iterator[str]:
    """Yield the path of the Python executable and of each symbolic link that leads to it."""
    path = Path(sys.executable)
    while path.is_symlink():
        yield str(path)
        path = path.parent / path.readlink()
    yield str(path)
    if (settings := Path(sys.prefix) / "pyvenv.cfg").is_file():
        yield str(settings)


def _installed(names: Iterable[str], folders: list[str]) -> Iterator[str]:
    """Yield the paths of top-level modules in the folders, with the files that belong to them but are no modules."""
    for name in [*names, *NATIVE]:
        spec = importlib.machinery.PathFinder.find_spec(name, folders)
        if spec is None:
            continue
        for place in spec.submodule_search_locations or [spec.origin or ""]:
            yield place
            if (libraries := Path(place).with_name(f"{name}.libs")).is_dir():
                yield str(libraries)
            if name not in THEIR_NEEDS:
                yield from map(str, sorted(Path(place).parent.glob(f"{name}-*.dist-info")))


def _place_of(name: str) -> Path | None:
    """Return the file or folder of a top-level module, also in an editable installation. Imports nothing."""
    try:
        spec = importlib.machinery.PathFinder.find_spec(name) or importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    found = [*(spec.submodule_search_locations or ()), spec.origin or ""] if spec else [""]
    return Path(found[0]) if Path(found[0]).stem == name else None


def _own(root: Path) -> Iterator[str]:
    """Yield the files of this project that an attempt's process imports."""
    for package in ("core", "grader", "grader/process"):
        yield str(root / package / "__init__.py")
    yield str(root / "grader" / "process" / "worker")
    for name in own_modules():
        place = root.joinpath(*name.split(".")[1:])
        yield str(place if place.is_dir() else place.with_suffix(".py"))


def _outermost(folders: Iterable[str]) -> Iterator[str]:
    kept: list[Path] = []
    for folder in sorted(map(Path, folders)):
        if not any(folder.is_relative_to(other) for other in kept):
            kept.append(folder)
            yield str(folder)


def _around(folder: str, hidden: frozenset[str], read: list[str], listed: list[str]) -> None:
    place = os.path.realpath(folder)
    if place in hidden:
        return
    if not any(path.startswith(place + "/") for path in hidden):
        read.append(folder)
        return
    listed.append(folder)
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_symlink():  # its target is listed separately, or is to stay hidden
                _around(entry.path, hidden, read, listed)
