"""Parts that the judge owns and hands to an attempt: a policy, a reward model, an environment, a runner of code.

The attempt calls a part as any object; its call goes to the judge, which answers, and notes when. So who was asked
what, and in which order, is evidence. A technique declares a part's methods in a class of its own::

    class RewardModel(Part):
        def score(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B"]: ...

Its properties pass an object of a class that derives from that one. Arguments and answers are plain data. Gradients
cross where a method is marked :func:`differentiable`; from any other, answers are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Part", "declared_part", "differentiable", "is_differentiable", "methods_of"]
__contract__ = ("Part", "differentiable")

F = TypeVar("F", bound=Callable[..., Any])


class Part:
    """The base of every declaration of a part. What derives from it directly declares the methods, all public ones."""


def differentiable(method: F) -> F:
    """Mark a part's method: gradients flow through its answer to its arguments."""
    method.groundup_differentiable = True  # type: ignore[attr-defined]
    return method


def declared_part(cls: type[Any]) -> type[Part]:
    """Return the class that declares the methods of a part: the one in its ancestry that derives from Part directly.

    Raises TypeError for what is no part.
    """
    for ancestor in cls.__mro__:
        if Part in ancestor.__bases__:
            return ancestor
    raise TypeError(f"{cls.__qualname__} derives from no class that declares a part")


def methods_of(declared: type[Part]) -> tuple[str, ...]:
    """Return the names of the methods that may be called."""
    return tuple(n for n, value in vars(declared).items() if not n.startswith("_") and callable(value))


def is_differentiable(declared: type[Part], method: str) -> bool:
    """Whether gradients flow through a method's answers."""
    return bool(getattr(vars(declared)[method], "groundup_differentiable", False))
