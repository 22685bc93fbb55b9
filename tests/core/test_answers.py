from __future__ import annotations

from typing import Any

import pytest
import torch

from groundup.core.answers import answer_dtype, declared_dtype
from groundup.core.interfaces.optimizer import Optimizer
from groundup.core.testing.answers import check_dtypes
from groundup.core.testing.compare import OtherDtype

ONE, WIDE = torch.ones(2), torch.ones(2, dtype=torch.float64)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ((WIDE,), WIDE),
        ((ONE, {"x": WIDE}), [WIDE, torch.ones(2, dtype=torch.int64)]),
        ((torch.ones(2, dtype=torch.int64),), ONE),  # no floating input: no dtype is promised
        ((3, "x"), WIDE),
        ((torch.ones(2, dtype=torch.float16), torch.ones(2, dtype=torch.bfloat16)), ONE),
        ((WIDE,), (True, 1.5)),
    ],
)
def test_an_answer_has_what_the_floating_inputs_promote_to(given: Any, answer: Any) -> None:
    check_dtypes("promoted", given, answer)


@pytest.mark.parametrize(
    ("given", "answer"),
    [
        ((WIDE,), ONE),
        ((ONE,), WIDE),
        ((ONE, WIDE), ONE),
        ((WIDE,), torch.complex(WIDE, WIDE)),
        ((WIDE,), {"loss": WIDE, "metrics": [ONE]}),
    ],
)
def test_any_other_dtype_is_refused_with_the_answer_kept(given: Any, answer: Any) -> None:
    with pytest.raises(OtherDtype, match="another dtype") as raised:
        check_dtypes("promoted", given, answer)
    assert raised.value.answer is answer


def test_what_is_declared_counts_for_subclasses_and_functions() -> None:
    class Rounds:
        @answer_dtype(torch.float16)
        def rounded(self, x: Any) -> Any: ...

    class Further(Rounds):
        def rounded(self, x: Any) -> Any: ...

        def other(self, x: Any) -> Any: ...

    @answer_dtype("any")
    def free(x: Any) -> Any: ...

    assert declared_dtype(Further, "rounded") == torch.float16
    assert declared_dtype(Further, "other") == "promoted"
    assert declared_dtype(free) == declared_dtype(Optimizer, "step") == "any"
    check_dtypes(torch.float16, (WIDE,), ONE.half())
    with pytest.raises(OtherDtype):
        check_dtypes(torch.float16, (), ONE)
