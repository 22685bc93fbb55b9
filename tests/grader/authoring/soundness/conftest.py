"""A small technique that breaks no rule; each test spoils one part of it."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique

MANIFEST = '''"""A toy."""

from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique

HALF = Technique(
    id="toys/half",
    title={"en": "Halving", "zh": "减半"},
    summary={"en": "Every number is halved.", "zh": "每个数减半。"},
    headline={"en": "Half of everything.", "zh": "一切的一半。"},
    package=__name__,
    implements="half",
    holes=(
        Hole(hints=({"en": "Half of 3?", "zh": "3 的一半？"},)),
        Hole(hints=({"en": "x / 2", "zh": "x / 2"},)),
    ),
    sources=(Source(title="A toy", url="https://example.org/toy", where="page 2"),),
)


@hookimpl
def techniques() -> list[Technique]:
    """Declare it."""
    return [HALF]
'''
SOLUTION = '''"""Halving."""

import torch
from jaxtyping import Float
from torch import Tensor


def half(x: Float[Tensor, "N"]) -> Float[Tensor, "N"]:
    """Return half of ``x``."""
    # HOLE 1/2: the factor
    factor = 0.5
    # END HOLE
    # HOLE 2/2: the product
    result = factor * x
    # END HOLE
    return torch.as_tensor(result)
'''
PROPERTIES = '''"""What holds of halves."""

from hypothesis import given

from groundup.core.testing import assert_equal, claim, tensors


@claim("Two halves are the whole.", zh="两个一半合成整体。")
@given(x=tensors((3,)))
def test_two_halves_are_the_whole(impl, x):
    assert_equal(impl(x) + impl(x), x)
'''
MISCONCEPTIONS = """
[[misconception]]
id = "a-quarter"
in = "half"
edit = ["0.5", "0.25"]
says = { en = "A quarter.", zh = "四分之一。" }
"""
LESSON = """# Halving

## What it is for

See [below](#traps).

## A worked example

Half of 3 is 1.5.

```python
assert 3 / 2 == 1.5
```

## Traps

- Integers: `3 // 2` is 1.

## What to build

1. The factor.
2. The product.

## Sources

- arXiv:1234.56789
"""
CHINESE = """# 减半

## 用途

见[下文](#陷阱)。

## 算例

3 的一半是 1.5。

```python
assert 3 / 2 == 1.5
```

## 陷阱

- 整数：`3 // 2` 等于 1。

## 要实现什么

1. 系数。
2. 乘积。

## 来源

- arXiv:1234.56789
"""
QUIZ = """questions:
  - id: half-of-it
    kind: parametric
    text: {en: "Half of {x}?", zh: "{x} 的一半？"}
    parameters: {x: [1, 2, 3, 5, 0.3, 7, 9, 12, 16]}
    answer: x / 2
    wrong: [x / 4, x - 1]
    tolerance: {relative: 0.01}
    explanation: {en: "{answer}.", zh: "{answer}。"}
    section: {en: Traps, zh: 陷阱}
  - id: what-is-lost
    kind: single
    text: {en: "What does 3 // 2 lose?", zh: "3 // 2 丢掉了什么？"}
    options:
      rest: {en: The rest, zh: 余数}
      sign: {en: The sign of it, zh: 它的符号}
    answer: rest
    explanation: {en: It is 1., zh: 它是 1。}
    section: {en: Traps, zh: 陷阱}
"""
ANSWERS = '''"""Another way to each answer."""


def half_of_it(x):
    return x * 0.5
'''
LAB = '''"""Halve and look."""

import torch

from groundup.core.lab import Figure, Lab, Mark, Outcome

LAB = Lab(
    title={"en": "Halving", "zh": "减半"},
    uses=("toys/half",),
    x={"en": "step", "zh": "步"},
    y={"en": "size", "zh": "大小"},
)


def run(bench):
    half = bench.impl("toys/half")
    x = torch.ones(2)
    for step in range(3):
        x = half(x)
        bench.point("size", step, float(x[0]))
    return Outcome(
        figures=(Figure(name={"en": "what is left", "zh": "剩下的"}, value=float(x[0])),),
        mark=Mark(says={"en": "An eighth is left.", "zh": "剩下八分之一。"}, reached=float(x[0]) == 0.125),
    )
'''
EXAMPLES = """[[example]]
id = "two-numbers"
by = "By hand: 3 / 2 and -1 / 2."
given.x = [3.0, -1.0]
run = "y = half(x)"
gives.y = [1.5, -0.5]

[[example]]
id = "twice"
by = "By hand: 10 is halved twice."
given.start = [10.0]
run = '''
once = half(start)
twice = half(once)
'''
gives.once = [5.0]
gives.twice = [2.5]

[[example]]
id = "whole-numbers"
by = "By hand, a gradient: each number counts for half."
given.counts = [1, 2]
given.name = "whole"
run = '''
x = counts.double().requires_grad_()
result = {name: half(x), "length": len(x), "kind": x.dtype}
(slope,) = torch.autograd.grad(result[name].sum(), [x])
'''
gives.result = {whole = [0.5, 1.0], length = 2, kind = "torch.float64"}
gives.slope = [0.5, 0.5]
"""
FILES = {
    "__init__.py": MANIFEST,
    "solution.py": SOLUTION,
    "properties.py": PROPERTIES,
    "misconceptions.toml": MISCONCEPTIONS,
    "examples.toml": EXAMPLES,
    "lesson.md": LESSON,
    "lesson.zh.md": CHINESE,
    "quiz.yaml": QUIZ,
    "quiz_answers.py": ANSWERS,
    "lab.py": LAB,
}


class Toy:
    """The toy's files, which a test may spoil, and the technique that they declare."""

    numbers = itertools.count()

    def __init__(self, folder: Path) -> None:
        self.package = f"halving_{next(self.numbers)}"
        self.folder = folder / self.package
        self.folder.mkdir()
        for name, text in FILES.items():
            (self.folder / name).write_text(text, encoding="utf-8")

    def spoil(self, file: str, old: str, new: str, *, every: bool = False) -> str:
        """Replace ``old``, which must occur, and return the ``file:line`` where it begins."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, -1 if every else 1), encoding="utf-8")
        return f"{path}:{text[: text.index(old)].count(chr(10)) + 1}"

    def at(self, file: str, text: str) -> str:
        """Return the ``file:line`` of the first line that contains ``text``."""
        path = self.folder / file
        lines = path.read_text(encoding="utf-8").splitlines()
        return f"{path}:{next(n for n, line in enumerate(lines, start=1) if text in line)}"

    def forget(self) -> None:
        """Have its modules loaded anew."""
        for module in [m for m in sys.modules if m.partition(".")[0] == self.package]:
            del sys.modules[module]

    @property
    def registry(self) -> Registry:
        """A registry of everything that is installed, and the toy."""
        importlib.invalidate_caches()
        alone = Registry([(self.package, lambda: importlib.import_module(self.package))])
        assert alone.problems == []
        found = Registry()
        found.techniques |= alone.techniques
        return found

    @property
    def technique(self) -> Technique:
        return self.registry.technique("half")


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toy]:
    monkeypatch.syspath_prepend(tmp_path)
    made = Toy(tmp_path)
    yield made
    made.forget()
