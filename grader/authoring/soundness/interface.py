"""Rule: the public class implements its interface, or the public function is annotated; tensors have shapes."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import torch
from jaxtyping import AbstractArray

from groundup.core.technique import Technique
from groundup.grader.authoring.soundness.places import Found, declared, place_of

SHAPED = 'say its shape, as in Float[Tensor, "B T"]'


def check(technique: Technique, implementation: Any) -> Found:
    """Find where ``implementation`` violates the interface, and public names without annotation or docstring."""
    problems = []
    detail = "a function"
    if inspect.isclass(implementation):
        detail = technique.interface or "no interface"
        problems += list(_fulfils(technique, implementation))
        methods = {n: m for n, m in vars(implementation).items() if inspect.isfunction(m)}
        surface = {n: m for n, m in methods.items() if n == "__init__" or not n.startswith("_")}
    else:
        surface = {"": implementation}
        if technique.interface:
            problems.append(
                f"{declared(technique, ('interface',), 'interface')}: {technique.implements!r} is a function, and only "
                "a class fulfils an interface: leave 'interface' out"
            )
    for name, function in surface.items():
        problems += list(_typed(technique, implementation, name, function))
    if not (inspect.getdoc(implementation) or "").strip():
        problems.append(f"{_at(technique)}: {technique.implements} has no docstring: say what it returns, and the axes")
    return detail, problems


def _fulfils(technique: Technique, implementation: type) -> Iterator[str]:
    where = declared(technique, ("interface",), "interface=")
    if technique.interface is None:  # its own public methods are all that callers know of it
        return
    module, _, name = technique.interface.partition(":")
    try:
        interface = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        yield f"{where}: the interface {technique.interface!r} cannot be found: {error}"
        return
    if not issubclass(implementation, interface):
        yield f"{_at(technique)}: {technique.implements} does not derive from {name}, its interface"
        return
    for missing in sorted(implementation.__abstractmethods__):  # type: ignore[attr-defined]
        yield f"{_at(technique)}: {technique.implements} lacks {missing}(), which {name} demands"
    for method in sorted(interface.__abstractmethods__ - implementation.__abstractmethods__):  # type: ignore[attr-defined]
        theirs, ours = getattr(interface, method), getattr(implementation, method)
        if inspect.isfunction(theirs) and inspect.isfunction(ours):
            for told in _accepts(theirs, ours):
                yield f"{_at(technique, method)}: {technique.implements}.{method} {told} {name}.{method}"


def _accepts(theirs: Callable[..., Any], ours: Callable[..., Any]) -> Iterator[str]:
    """Yield reasons why ``ours`` cannot be called in every way in which ``theirs`` can, as parts of a sentence."""
    demanded = list(inspect.signature(theirs).parameters.values())[1:]
    offered = list(inspect.signature(ours).parameters.values())[1:]
    by_name = {p.name: p for p in offered}
    for number, wanted in enumerate(demanded):
        if wanted.kind in (wanted.VAR_POSITIONAL, wanted.VAR_KEYWORD):
            continue
        own = by_name.get(wanted.name)
        if own is None or own.kind in (own.VAR_POSITIONAL, own.VAR_KEYWORD):
            yield f"takes no {wanted.name!r}, as does"
        elif wanted.kind is wanted.POSITIONAL_OR_KEYWORD and (
            own.kind is own.KEYWORD_ONLY or number >= len(offered) or offered[number] is not own
        ):
            yield f"does not take {wanted.name!r} in place {number + 1}, as does"
        elif own.kind is own.POSITIONAL_ONLY:
            yield f"does not take {wanted.name!r} by name, as does"
        elif wanted.default is not wanted.empty and own.default is own.empty:
            yield f"has no default for {wanted.name!r}, as has"
    names = {p.name for p in demanded}
    for own in offered:
        if own.name not in names and own.default is own.empty and own.kind not in (own.VAR_POSITIONAL, own.VAR_KEYWORD):
            yield f"demands {own.name!r}, which does not stand in"


def _typed(technique: Technique, implementation: Any, name: str, function: Any) -> Iterator[str]:
    """Yield a message for each argument or result without an annotation, or with a tensor without a shape."""
    called = f"{technique.implements}.{name}" if name else technique.implements
    at = _at(technique, name)
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:  # evaluating an annotation may raise anything
        yield f"{at}: the annotations of {called} cannot be read: {type(error).__name__}: {error}"
        return
    inherited = _inherited(implementation, name)
    wanted = [p for p in inspect.signature(function).parameters if not (name and p == "self")]
    for parameter in [*wanted, *(["return"] if name != "__init__" else [])]:
        what = f"the result of {called}" if parameter == "return" else f"{parameter!r} of {called}"
        if parameter not in hints:
            yield f"{at}: {what} has no annotation: say its type, and a tensor's shape"
        elif _shapeless(hints[parameter]) and hints[parameter] != inherited.get(parameter):
            yield f"{at}: {what} is a tensor of no shape: {SHAPED}"
    if name and name != "__init__" and not (inspect.getdoc(getattr(implementation, name)) or "").strip():
        yield f"{at}: {called} has no docstring"


def _inherited(implementation: Any, name: str) -> dict[str, Any]:
    """Return the annotations of the interface's method: what it leaves unannotated may stay so."""
    for base in getattr(implementation, "__mro__", ())[1:]:
        if inspect.isfunction(vars(base).get(name)):
            return typing.get_type_hints(vars(base)[name])
    return {}


def _shapeless(annotation: Any) -> bool:
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return issubclass(annotation, torch.Tensor) and not issubclass(annotation, AbstractArray)
    return any(_shapeless(part) for part in typing.get_args(annotation))


def _at(technique: Technique, method: str = "") -> str:
    path = technique.files.solution
    qualified = f"{technique.implements}.{method}" if method else technique.implements
    return place_of(path, path.read_text(encoding="utf-8"), qualified)
