from __future__ import annotations

from typing import Any

import pytest

from groundup.core.testing import each


def test_calls_are_made_in_order_and_answered_in_order() -> None:
    made: list[Any] = []
    assert each(lambda x, y=0: made.append((x, y)) or x + y, [(1,), (2, 3), (1,)]) == [1, 5, 1]
    assert made == [(1, 0), (2, 3), (1, 0)]
    assert each(len, []) == []


def test_none_is_made_after_one_that_raises() -> None:
    made: list[int] = []

    def f(x: int) -> None:
        made.append(x)
        if x == 2:
            raise ValueError(x)

    with pytest.raises(ValueError, match="2"):
        each(f, [(1,), (2,), (3,)])
    assert made == [1, 2]
