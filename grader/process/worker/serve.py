"""The attempt's process: loads its source and answers calls until it is killed.

The attempt can reach and change everything here, so nothing that this process reports about itself is evidence.
"""

from __future__ import annotations

import contextlib
import faulthandler
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import socket
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch import Tensor

from groundup.core.communicator import Communicator
from groundup.core.messages import Message, said_by
from groundup.core.parts import Part
from groundup.core.tensors import SCALARS, outline, same, tensors_in, with_tensors
from groundup.grader.process.worker import sentences, wire
from groundup.grader.process.worker.imports import ImportRules
from groundup.grader.process.worker.limits import die_with_parent, limit_this_process
from groundup.grader.process.worker.ranks import communicator
from groundup.grader.process.worker.remote_part import remote_part

CHUNK = 1 << 18
# Kept before the attempt can replace them; torch.manual_seed itself would look for devices each time.
seed_torch, seed_python, seed_numpy = torch.default_generator.manual_seed, random.seed, numpy.random.seed


def run(data: int, output: int, job: dict[str, Any], containment: dict[str, Any]) -> None:
    """Become the attempt's process: set up descriptors, limits and containment, report it, serve. Never returns."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    channel = socket.socket(fileno=os.dup2(data, 3))
    os.closerange(4, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)
    faulthandler.enable(2, all_threads=False)
    faulthandler.register(signal.SIGUSR1, 2, all_threads=False)
    sys.stdout = os.fdopen(1, "w", buffering=1, errors="replace", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="replace", closefd=False)
    os.chdir(job["folder"])
    # Libraries read these variables on import but write nothing, so any existing folder will do.
    folders = ("HOME", "TMPDIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    os.environ.update(dict.fromkeys(folders, job["folder"]))
    tempfile.tempdir = job["folder"]
    os.setsid()
    die_with_parent()
    if job["cores"]:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, job["cores"])
    limit_this_process(job["cpu_seconds"], threads=job["meeting"] is not None)
    rules = ImportRules(job["imports"], sys.meta_path)
    sys.meta_path[:] = [rules]
    torch.set_num_threads(1)
    try:
        contain(job, containment)
    except OSError as error:
        channel.sendall(json.dumps({"problem": str(error)}).encode())
        os._exit(70)
    channel.sendall(json.dumps({"contained": containment["layer"]}).encode())
    try:
        Server(channel, rules).serve()
    except BaseException:
        os._exit(70)


def contain(job: dict[str, Any], containment: dict[str, Any]) -> None:
    """Apply the chosen containment layer. Raises OSError if a part of it cannot be applied."""
    layer, folder, meeting = containment["layer"], job["folder"], job["meeting"]
    if layer == "process":
        return
    from groundup.grader.process.worker import jail

    # Writing is allowed only if the scratch folder is in memory, where its size and the number of files are limited.
    to_read, to_work = ([], [folder]) if containment["work"] else ([folder], [])
    jail.enter(
        jail.Walls(
            read=[*containment["read"], *to_read, *(containment["network"] if meeting else ())],
            list=containment["list"],
            work=["/dev/null", *to_work, *([meeting] if meeting else [])],
            talk=meeting is not None,
        )
    )


class Server:
    """Holds the attempt's module, its objects, and the graphs of calls whose gradients may still be requested."""

    def __init__(self, channel: socket.socket, rules: ImportRules) -> None:
        self.channel, self.rules = channel, rules
        self.incoming = wire.Incoming()
        self.module: types.ModuleType | None = None
        self.objects: dict[int, Any] = {}
        self.communicators: dict[int, Communicator] = {}
        self.graphs: dict[int, tuple[list[Tensor], list[Tensor]]] = {}
        self.asked: Any = None
        self.operations: dict[str, Callable[[dict[str, Any], Any, dict[str, Any]], Any]] = {
            "load": self.load, "new": self.new, "call": self.call, "vjp": self.vjp, "events": self.events,
            "reseed": self.reseed, "each": self.each,
        }  # fmt: skip

    def serve(self) -> None:
        """Answer requests, one at a time, for ever."""
        while True:
            meta, value = self.hear()
            self.asked = meta["id"]
            for number in meta["free"]:
                self.graphs.pop(number, None)
                self.objects.pop(number, None)
                self.communicators.pop(number, None)
            reply: dict[str, Any] = {"id": meta["id"], "ok": True}
            try:
                parts = self.answer(meta, value, reply)
            except BaseException as error:
                parts = wire.encode({"id": meta["id"], "ok": False}, self.told(error))
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            self.channel.sendall(b"".join(parts))

    def answer(self, meta: dict[str, Any], value: Any, reply: dict[str, Any]) -> list[Any]:
        """Execute a request and return the frame of its answer. Raises what the attempt's code raises."""
        result = self.operations[meta["op"]](meta, value, reply)
        try:
            return wire.encode(reply, result)
        except wire.NotPlainError as error:
            told = {
                "types": ["NotPlainError"],  # not its base TypeError, which a property may expect from the attempt
                **_said(sentences.NOT_PLAIN.filled(what=_text(str(error), 400))),
                "lines": [],
            }
            return wire.encode({"id": meta["id"], "ok": False}, told)

    def told(self, error: BaseException) -> dict[str, Any]:
        """Return an exception as the learner sees it: its types, its message, lines of the attempt. Never raises."""
        try:
            types_ = [_text(t.__name__, 80) for t in type(error).__mro__[:12]]
            message = said_by(error) or (sentences.NO_DEBUGGER if types_[0] == "BdbQuit" else "")
            if isinstance(error, ModuleNotFoundError) and error.name and not self.rules.allows(error.name):
                message = self.rules.refusal(_text(error.name, 200))
            if isinstance(error, SyntaxError):
                message = str(error.msg)
                lines = [[error.lineno, "", _text((error.text or "").strip(), 400)]] if error.lineno else []
            else:
                frames = traceback.extract_tb(error.__traceback__)
                own = [f for f in frames if f.filename == getattr(self.module, "__file__", None)]
                lines = [[f.lineno or 0, _text(f.name, 100), _text(f.line or "", 400)] for f in own[-4:]]
            return {"types": types_, **_said(message), "lines": lines}
        except BaseException:
            return {"types": ["Exception"], **_said(sentences.NOT_SHOWN), "lines": []}

    def hear(self) -> tuple[dict[str, Any], Any]:
        """Receive the judge's next frame; ends the process if the judge is gone."""
        while not self.incoming.whole:
            received = self.channel.recv(CHUNK)
            if not received:
                os._exit(0)
            self.incoming.take(received)
        return wire.decode(*self.incoming.frame(), trusted=True, part=self.part)

    def say(self, meta: dict[str, Any], value: Any) -> None:
        """Send a frame during a call."""
        self.channel.sendall(b"".join(wire.encode({"id": self.asked, **meta}, value)))

    def part(self, number: int, declared: type[Part]) -> Part:
        """Return the proxy of a part that the judge owns."""
        return remote_part(self, number, declared)

    def own_line(self) -> int:
        """Return the attempt's line that is being executed, 0 if none is."""
        frame: types.FrameType | None = sys._getframe(1)
        name = getattr(self.module, "__file__", None)
        while frame is not None and frame.f_code.co_filename != name:
            frame = frame.f_back
        return frame.f_lineno if frame is not None else 0

    def load(self, meta: dict[str, Any], source: str, reply: dict[str, Any]) -> None:
        """Execute the attempt's source and check that it defines the required name."""
        self.reseed(meta, meta["seed"], reply)
        loader = _Source(meta["name"], source)
        spec = importlib.util.spec_from_loader("attempt", loader)
        assert spec is not None
        self.module = importlib.util.module_from_spec(spec)
        self.module.__file__ = meta["name"]
        sys.modules["attempt"] = self.module
        loader.exec_module(self.module)
        if not callable(getattr(self.module, meta["implements"], None)):
            defined = [n for n, v in vars(self.module).items() if getattr(v, "__module__", None) == "attempt"]
            name = meta["implements"]
            if defined:
                raise NameError(sentences.DEFINES_OTHERS.filled(name=name, names=defined[:20]))
            raise NameError(sentences.DEFINES_NOTHING.filled(name=name))

    def reseed(self, meta: dict[str, Any], seed: int, reply: dict[str, Any]) -> None:
        """Seed the random number generators."""
        seed_torch(seed)
        seed_python(seed)
        seed_numpy(seed % (1 << 32))

    def new(self, meta: dict[str, Any], value: Any, reply: dict[str, Any]) -> None:
        """Construct an object of the attempt's class, possibly on a rank; the request's number identifies it."""
        args, kwargs = value
        if "rank" in meta:
            self.communicators[meta["id"]] = communicator(self, meta)
            args = (self.communicators[meta["id"]], *args)
        with watched(value, tensors_in(value), reply):
            self.objects[meta["id"]] = getattr(self.module, meta["name"])(*args, **kwargs)

    def call(self, meta: dict[str, Any], value: Any, reply: dict[str, Any]) -> Any:
        """Call the attempt's function, or a method of one of its objects."""
        args, kwargs = value
        owner = self.module if meta["of"] is None else self.objects[meta["of"]]
        inputs = tensors_in(value)
        for tensor in inputs:
            if tensor.sent_with_grad:  # type: ignore[attr-defined]
                tensor.requires_grad_(True)
        with watched(value, inputs, reply), torch.set_grad_enabled(meta["grad"]):
            result = getattr(owner, meta["name"])(*args, **kwargs)
        if meta["keep"]:
            self.graphs[meta["id"]] = (inputs, tensors_in(result))
        return result

    def each(self, meta: dict[str, Any], calls: list[Any], reply: dict[str, Any]) -> list[Any]:
        """Make several calls. Each answer is copied, so that later calls cannot change it."""
        answers, reply["each"] = [], []
        for args in calls:
            told: dict[str, Any] = {}
            answer = self.call(meta, (args, {}), told)
            answers.append(with_tensors(answer, iter([t.clone() for t in tensors_in(answer)])))
            reply["each"].append(told)
        return answers

    def events(self, meta: dict[str, Any], value: None, reply: dict[str, Any]) -> Any:
        """Return the times at which an object's communicator sent and waited, if it records them."""
        return getattr(self.communicators[meta["of"]], "events", [])

    def vjp(self, meta: dict[str, Any], cotangents: list[Tensor], reply: dict[str, Any]) -> list[Tensor | None]:
        """Return the vector-Jacobian product of an earlier call: one gradient for each input in ``wrt``."""
        inputs, outputs = self.graphs[meta["of"]]
        pairs = [(outputs[n], g) for n, g in zip(meta["which"], cotangents, strict=True)]
        grads = torch.autograd.grad(
            [o for o, _ in pairs], [inputs[n] for n in meta["wrt"]], [g for _, g in pairs],
            retain_graph=True, allow_unused=True,
        )  # fmt: skip
        return list(grads)


@contextmanager
def watched(value: Any, inputs: list[Tensor], reply: dict[str, Any]) -> Iterator[None]:
    """Put into ``reply`` which ``inputs`` and which other arguments of ``value`` the block changes in place."""
    args, kwargs = value
    before = [tensor.detach().clone() for tensor in inputs]
    given = {**dict(enumerate(args)), **kwargs}
    outlines = {place: outline(a) for place, a in given.items() if not isinstance(a, Tensor) and type(a) not in SCALARS}
    yield
    reply["changed"] = [n for n, (a, b) in enumerate(zip(before, inputs, strict=True)) if not same(a, b)]
    reply["altered"] = [place for place, earlier in outlines.items() if outline(given[place]) != earlier]


class _Source(importlib.abc.InspectLoader):
    """Loads a module from memory and keeps its source, which ``inspect`` and ``triton.jit`` read."""

    def __init__(self, filename: str, source: str) -> None:
        self.filename, self.source = filename, source.removeprefix("\ufeff")

    def get_source(self, fullname: str) -> str:
        return self.source

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self.source, self.filename, "exec", dont_inherit=True)

    def is_package(self, fullname: str) -> bool:
        return False


def _said(message: str) -> dict[str, Any]:
    """Return a message in the form of a frame: a known template with its fields, or plain text."""
    if isinstance(message, Message):
        return {"message": message.template, "fields": message.as_data()["fields"]}
    return {"message": _text(message, 2000)}


def _text(text: str, longest: int) -> str:
    """Return ``text``, cut to ``longest``, as an exact str even if it is a subclass that overrides slicing."""
    return str.__str__(text)[:longest]
