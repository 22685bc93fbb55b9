"""Runs a failing case on the learner's file in this process, under the debugger. For the learner's own code only."""

from __future__ import annotations

import contextlib
import inspect
import pdb
from bdb import BdbQuit
from collections.abc import Callable
from typing import Any

from groundup.core.technique import Technique
from groundup.core.testing.modules import module_from_source
from groundup.core.testing.ranks import as_impl
from groundup.grader.judging.recorder import FAILURES, Case

__all__ = ["step_into"]


def step_into(technique: Technique, source: str, path: str, case: Case, *, rank: int = 0) -> None:
    """Run ``case`` and stop at the first line of each of its calls.

    For a distributed technique, it stops only on rank ``rank``. Quitting the debugger ends the run.
    """
    module = module_from_source("attempt", source, path)
    stepping = _Stepping(pdb.Pdb(), case, rank if technique.distributed else None)
    with contextlib.suppress(BdbQuit, *FAILURES):
        case.run(as_impl(technique, stepping.into(getattr(module, technique.implements))))


class _Stepping:
    """Runs calls of an implementation under the debugger."""

    def __init__(self, debugger: pdb.Pdb, case: Case, rank: int | None) -> None:
        self.debugger, self.case, self.rank = debugger, case, rank
        self.constructed = 0

    def into(self, implementation: Any) -> Any:
        """Return ``implementation`` wrapped so that every call from outside runs under the debugger."""
        if not inspect.isclass(implementation):
            return self.debugged(implementation)
        own = {n: m for n, m in vars(implementation).items() if inspect.isfunction(m) and not n.startswith("_")}
        methods = {name: self.method(method) for name, method in own.items()}
        constructor = self.method(implementation.__init__, constructs=True)
        return type(implementation.__name__, (implementation,), {**methods, "__init__": constructor})

    def method(self, function: Callable[..., Any], *, constructs: bool = False) -> Callable[..., Any]:
        """Return a method that runs under the debugger when it is called from outside on the chosen rank."""

        def call(instance: Any, *args: Any, **kwargs: Any) -> Any:
            if constructs:
                self.constructed += 1
                instance._stepping_here = self.rank is None or getattr(args[0], "rank", None) == self.rank
            inside = getattr(instance, "_stepping_inside", False)
            # Hypothesis repeats the steps of a state machine after a failure; debug only the first run.
            if inside or not instance._stepping_here or (self.case.steps and self.constructed > 1):
                return function(instance, *args, **kwargs)
            instance._stepping_inside = True
            try:
                return self.debugged(function)(instance, *args, **kwargs)
            finally:
                instance._stepping_inside = False

        return call

    def debugged(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function``, wrapped to run under the debugger if it is written in Python."""
        if not inspect.isfunction(function):
            return function

        def call(*args: Any, **kwargs: Any) -> Any:
            result = self.debugger.runcall(function, *args, **kwargs)
            if self.debugger.quitting:
                raise BdbQuit
            return result

        return call
