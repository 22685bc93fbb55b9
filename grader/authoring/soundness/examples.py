"""Rule: the solution gives the worked numbers of ``examples.toml``, which were found without it."""

from __future__ import annotations

import ast
import importlib
import math
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from groundup.core.declared import Place
from groundup.core.examples import Example, Examples, leaves, read_examples, written
from groundup.core.technique import Technique
from groundup.core.testing.ranks import as_impl, per_rank
from groundup.grader.authoring.soundness.places import Found, built_in
from groundup.grader.judging.properties import load_reference

FEWEST = 3  # examples of a built-in technique
FEWEST_WORDS = 3  # of the sentence that says how numbers were found
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6, torch.float16: 2e-3, torch.bfloat16: 1e-2}
"""Absolute and relative, for examples that name none: a few roundings of the answer's dtype."""
LARGEST_SHARE = 0.1  # of an expected number that its tolerance may be


@dataclass(frozen=True)
class Difference:
    """The first place where a value is not what was expected."""

    place: Place
    told: str


def check(technique: Technique) -> Found:
    """Run every example on the solution. Raises PluginProblem with file, line and key if the file cannot be read."""
    path = technique.files.examples
    if not path.is_file():
        lacking = f"there are no worked numbers: expected them at {path}"
        return ("", [lacking]) if built_in(technique) else ("no examples", [])
    examples = read_examples(path)
    problems = []
    if not examples.all or (built_in(technique) and len(examples.all) < FEWEST):
        least = FEWEST if built_in(technique) else 1
        problems.append(f"{path}: {len(examples.all)} examples, at least {least}: add [[example]]")
    implementation = as_impl(technique, load_reference(technique))
    for number in range(len(examples.all)):
        problems += _unsound(technique, examples, number) or _wrong(technique, implementation, examples, number)
    return f"{len(examples.all)} examples", problems


def _unsound(technique: Technique, examples: Examples, number: int) -> list[str]:
    """Return what is wrong with an example before it is run."""
    example, problems = examples.all[number], []
    if len(example.by.split()) < FEWEST_WORDS:
        at = examples.at(number, "by")
        problems.append(f"{at}: {example.id} does not say how its numbers were found: by = '...', in a sentence")
    if not example.gives:
        problems.append(
            f"{examples.at(number)}: {example.id} gives nothing: add gives.NAME = ..., a variable of its run"
        )
    try:
        tree = ast.parse(examples.source(number), str(examples.file.path))
    except SyntaxError as error:
        return [*problems, f"{examples.file.path}:{error.lineno}: the run of {example.id} is no Python: {error.msg}"]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    problems += [
        f"{examples.at(number, 'given', name)}: the run of {example.id} does not use the given {name!r}"
        for name in example.given
        if name not in used
    ]
    if technique.implements not in used:
        problems.append(f"{examples.at(number, 'run')}: the run of {example.id} does not use {technique.implements}")
    return problems


def _wrong(technique: Technique, implementation: Any, examples: Examples, number: int) -> Iterator[str]:
    """Run an example and yield a message for each value that is not what it gives."""
    example, path = examples.all[number], examples.file.path
    try:
        names = _names(technique, implementation, example)
    except ValueError as error:
        yield f"{examples.at(number, 'given')}: {example.id}: {error}"
        return
    before = dict(names)
    try:
        with torch.random.fork_rng(devices=[]):
            exec(compile(examples.source(number), str(path), "exec", dont_inherit=True), names)
    except Exception as error:  # what an author's code raises
        lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)]
        at = f"{path}:{lines[-1]}" if lines else examples.at(number, "run")
        yield f"{at}: the run of {example.id} raises {type(error).__name__}: {error}"
        return
    for name, expected in example.gives.items():
        if name not in names or names[name] is before.get(name):
            yield f"{examples.at(number, 'gives', name)}: the run of {example.id} does not set {name!r}"
        elif difference := _difference(expected, names[name], example.tolerance):
            inside = (name, *difference.place)
            at = examples.at(number, "gives", *inside)
            yield f"{at}: {example.id}: {written(inside).removeprefix('.')}: {difference.told}"


def _names(technique: Technique, implementation: Any, example: Example) -> dict[str, Any]:
    """Return the variables that a run begins with. Raises ValueError for a given list that makes no tensor."""
    names: dict[str, Any] = {"__name__": "example", "torch": torch, "math": math}
    if technique.distributed:
        names["per_rank"] = per_rank
    if technique.interface:
        module = importlib.import_module(technique.interface.partition(":")[0])
        public = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
        names |= {name: getattr(module, name) for name in public}
    names[technique.implements] = implementation
    return names | {name: _given(name, value) for name, value in example.given.items()}


def _given(name: str, value: Any) -> Any:
    """Return a given value: nested lists of numbers as tensors, tables as dicts, anything else as it is."""
    if isinstance(value, dict):
        return {key: _given(f"{name}.{key}", part) for key, part in value.items()}
    if not isinstance(value, list):
        return value
    kinds = {type(leaf) for leaf in leaves(value)}
    if kinds and kinds <= {str, dict}:
        return [_given(f"{name}[{index}]", part) for index, part in enumerate(value)]
    if len(kinds) > 1:
        raise ValueError(f"{name} mixes {' and '.join(sorted(kind.__name__ for kind in kinds))}")
    if _shape(value) is None:
        raise ValueError(f"the rows of {name} differ in length")
    return torch.tensor(value, dtype=torch.float64 if kinds <= {float} else None)


def _shape(value: Any) -> tuple[int, ...] | None:
    """Return the shape of nested lists, None if rows differ in length."""
    if not isinstance(value, list):
        return ()
    inner = {_shape(part) for part in value}
    if len(inner) > 1 or None in inner:
        return None
    return (len(value), *(next(iter(inner)) or ())) if inner else (0,)


# Comparing


def _difference(expected: Any, got: Any, tolerance: float | None, place: Place = ()) -> Difference | None:
    """Return the first difference between a value from TOML and a variable, None if there is none.

    Numbers must be of the same kind: integer, float or bool. Lists stand for tensors, lists and tuples.
    """
    if isinstance(got, Tensor) and not isinstance(expected, dict):
        shape = _shape(expected)
        if shape != tuple(got.shape):
            lists = f"shape {shape}" if shape is not None else "rows of unequal length"
            wanted = lists if isinstance(expected, list) else repr(expected)
            return Difference(place, f"expected {wanted}, got a tensor of shape {tuple(got.shape)}")
        tolerance = tolerance or TOLERANCES.get(got.dtype)
        got = got.detach().tolist()
    if isinstance(expected, dict | list):
        return _first_inside(expected, got, tolerance, place)
    if isinstance(got, torch.dtype) or got is None:
        got = str(got)
    kinds = type(expected).__name__, type(got).__name__
    if kinds[0] != kinds[1]:
        return Difference(place, f"expected {expected!r} ({kinds[0]}), got {got!r} ({kinds[1]})")
    if not isinstance(expected, float):
        return None if expected == got else Difference(place, f"expected {expected!r}, got {got!r}")
    return _of_floats(expected, got, tolerance or TOLERANCES[torch.float64], place)


def _first_inside(expected: Any, got: Any, tolerance: float | None, place: Place) -> Difference | None:
    """Return the first difference between the parts of two lists or two tables."""
    if isinstance(expected, dict):
        if not isinstance(got, dict) or got.keys() != expected.keys():
            keys = list(got) if isinstance(got, dict) else repr(got)
            return Difference(place, f"expected the keys {list(expected)}, got {keys}")
        pairs = [(key, part, got[key]) for key, part in expected.items()]
    elif not isinstance(got, list | tuple):
        return Difference(place, f"expected a list, got {got!r}")
    elif len(got) != len(expected):
        return Difference(place, f"expected {len(expected)} members, got {len(got)}: {got!r}")
    else:
        pairs = [(index, part, got[index]) for index, part in enumerate(expected)]
    found = (_difference(part, other, tolerance, (*place, step)) for step, part, other in pairs)
    return next((difference for difference in found if difference), None)


def _of_floats(expected: float, got: float, tolerance: float, place: Place) -> Difference | None:
    if math.isnan(expected) or math.isinf(expected):
        same = math.isnan(got) if math.isnan(expected) else expected == got
        return None if same else Difference(place, f"expected {expected!r}, got {got!r}")
    if expected and tolerance > LARGEST_SHARE * abs(expected):
        return Difference(place, f"the tolerance {tolerance:g} rivals {expected!r}: give more digits and a smaller one")
    if abs(got - expected) <= tolerance * (1 + abs(expected)):  # never true of a NaN
        return None
    return Difference(place, f"expected {expected!r}, got {got!r}")
