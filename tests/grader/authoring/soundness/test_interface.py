from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from groundup.core.technique import Technique
from groundup.core.testing.modules import current_module
from groundup.grader.authoring.soundness.interface import check

CLASS = '''"""Attention that looks at the newest key alone."""

from jaxtyping import Bool, Float
from torch import Tensor

from groundup.core.interfaces.attention import Attention


class Newest(Attention):
    """It attends to the last key."""

    def forward(
        self,
        query: Float[Tensor, "B H Q D"],
        key: Float[Tensor, "B G K D"],
        value: Float[Tensor, "B G K E"],
        *,
        attn_mask: Bool[Tensor, "B K"] | None = None,
        causal: bool = False,
    ) -> Float[Tensor, "B H Q E"]:
        """Return the last value."""
        # HOLE 1/2: it
        newest = value[:, :, -1:]
        # END HOLE
        # HOLE 2/2: all of it
        return newest.expand(-1, query.shape[1], query.shape[2], -1)
        # END HOLE
'''


def told(toy: Any) -> list[str]:
    technique = toy.technique
    files = technique.files
    return check(technique, getattr(current_module(files.solution_module, files.solution), technique.implements))[1]


@pytest.fixture
def newest(toy: Any) -> Any:
    (toy.folder / "solution.py").write_text(CLASS)
    toy.spoil(
        "__init__.py", '    implements="half",',
        '    implements="Newest",\n    interface="groundup.core.interfaces.attention:Attention",',
    )  # fmt: skip
    return toy


def test_a_typed_function_and_a_class_that_fulfils_its_interface_are_clean(toy: Any, newest: Any) -> None:
    assert told(newest) == []


def test_a_typed_function_is_clean(toy: Any) -> None:
    assert told(toy) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("x: Float[Tensor, \"N\"]", "x", "'x' of half has no annotation"),
        ("x: Float[Tensor, \"N\"]", "x: Tensor", "'x' of half is a tensor of no shape"),
        ("x: Float[Tensor, \"N\"]", "x: list[Tensor] | None", "'x' of half is a tensor of no shape"),
        ("-> Float[Tensor, \"N\"]", "-> tuple[int, Tensor]", "the result of half is a tensor of no shape"),
        ("-> Float[Tensor, \"N\"]", "", "the result of half has no annotation"),
        ('    """Return half of ``x``."""\n', "", "half has no docstring"),
    ],
)  # fmt: skip
def test_a_function_without_types_or_text_is_found(toy: Any, old: str, new: str, says: str) -> None:
    toy.spoil("solution.py", old, new)
    (found,) = told(toy)
    assert found.startswith(f"{toy.at('solution.py', 'def half(')}: {says}")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("def forward(", "def backward(", "Newest lacks forward(), which Attention demands"),
        ('        attn_mask: Bool[Tensor, "B K"] | None = None,\n', "",
         "takes no 'attn_mask', as does Attention.forward"),
        ('        attn_mask: Bool[Tensor, "B K"] | None = None,', '        attn_mask: Bool[Tensor, "B K"] | None,',
         "has no default for 'attn_mask', as has Attention.forward"),
        ("        causal: bool = False,", "        causal: bool = False,\n        window: int,",
         "demands 'window', which does not stand in Attention.forward"),
        ('        query: Float[Tensor, "B H Q D"],\n        key: Float[Tensor, "B G K D"],\n',
         '        key: Float[Tensor, "B G K D"],\n        query: Float[Tensor, "B H Q D"],\n',
         "does not take 'query' in place 1, as does Attention.forward"),
        ("class Newest(Attention):", "class Newest:", "Newest does not derive from Attention"),
        ('key: Float[Tensor, "B G K D"]', "key: Tensor", "'key' of Newest.forward is a tensor of no shape"),
    ],
)  # fmt: skip
def test_a_class_that_does_not_fulfil_its_interface_is_found(newest: Any, old: str, new: str, says: str) -> None:
    newest.spoil("solution.py", old, new)
    found = told(newest)
    assert says in found[0]
    assert found[0].startswith(f"{newest.folder}/solution.py:")


def test_what_the_interface_leaves_open_may_stay_open(newest: Any, tmp_path: Path) -> None:
    (tmp_path / "open_interface.py").write_text(
        "from abc import ABC, abstractmethod\n\nfrom torch import Tensor\n\n\n"
        "class Open(ABC):\n    @abstractmethod\n    def f(self, x: Tensor) -> Tensor:\n        ...\n"
    )
    newest.spoil("__init__.py", "groundup.core.interfaces.attention:Attention", "open_interface:Open")
    (newest.folder / "solution.py").write_text(
        '"""Open."""\n\nfrom torch import Tensor\n\nfrom open_interface import Open\n\n\n'
        'class Newest(Open):\n    """Open."""\n\n    def f(self, x: Tensor) -> Tensor:\n'
        '        """Return it."""\n        return x\n'
    )
    assert told(newest) == []


@pytest.mark.parametrize("name", ["groundup.core.interfaces.attention:Atention", "nowhere:Attention", "Attention"])
def test_an_interface_that_is_not_there_is_found(newest: Any, name: str) -> None:
    at = newest.spoil("__init__.py", "groundup.core.interfaces.attention:Attention", name)
    (found,) = told(newest)
    assert found.startswith(f"{at}: the interface {name!r} cannot be found")


def test_a_class_may_have_no_interface_but_its_own_methods(newest: Any) -> None:
    newest.spoil("__init__.py", '    interface="groundup.core.interfaces.attention:Attention",\n', "")
    technique: Technique = newest.technique
    assert technique.interface is None
    assert told(newest) == []
