"""A technique with a lesson that has everything."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundup.core.registry import Registry
from groundup.core.technique import Technique

MANIFEST = """from groundup.core.hookspecs import hookimpl
from groundup.core.technique import Hole, Source, Technique


@hookimpl
def techniques():
    return [
        Technique(
            id="toys/halving",
            title={"en": "Halving <b>", "zh": "减半"},
            summary={"en": "Half.", "zh": "一半。"},
            level=2,
            minutes=5,
            package=__name__,
            implements="half",
            holes=(Hole(hints=({"en": "Half."},)),),
            sources=(Source(title="A toy", url="https://example.org/toy", where="page 2"),),
        )
    ]
"""
LESSON = r"""# Halving

## The problem

Half of $x_1$ is <script>alert(1)</script> {{one.y}}. See [below](#the-end), [there](https://example.org/a?b&c),
[a file](solution.py) and ![a picture](https://example.org/x.png).

$$
\frac{x}{2}
$$

![A line *rises* to $y_1$ & on.](figure:line)

| a | b |
|---|---|
| 1 | 2 |

```python
def half(x):  # "a" & b
    return x / 2
```

## The end

Done.
"""
FIGURES = """def line(draw):
    axes = draw.axes()
    axes.plot([0, 1], [0, 1], color=draw.colours[0])
    axes.set_title(draw.text("A rise", "上升"))
"""
EXAMPLES = """[[example]]
id = "one"
run = "y = 1.5"
gives.y = 1.5
"""


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Technique]:
    folder = tmp_path / "halving_of_lessons"
    folder.mkdir()
    files = {"__init__.py": MANIFEST, "lesson.md": LESSON, "figures.py": FIGURES, "examples.toml": EXAMPLES}
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    found = Registry([(folder.name, lambda: importlib.import_module(folder.name))])
    assert found.problems == []
    yield found.technique("halving")
    for module in [m for m in sys.modules if m.partition(".")[0] == folder.name]:
        del sys.modules[module]
