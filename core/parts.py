"""Parts that the judge owns and hands to an attempt: a policy, a reward model, an environment, a runner of code.

The attempt calls a part like any object. Each call goes to the judge, which answers it and records it in order, so the
calls and their order are evidence. A technique declares a part's methods in a class::

    class RewardModel(Part):
        def score(self, tokens: Int[Tensor, "B T"]) -> Float[Tensor, "B"]: ...

The technique's properties pass an object of a subclass. Arguments and answers are plain data. Gradients flow through a
method marked :func:`differentiable`; answers of other methods are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

__all__ = ["Part", "declared_part", "differentiable", "is_differentiable", "methods_of"]
__contract__ = ("Part", "differentiable")

F = TypeVar("F", bound=Callable[..., Any])


class Part:
    """Base class of parts. A direct subclass declares the part: its public methods are the ones that can be called."""


def differentiable(method: F) -> F:
    """Mark a part's method as differentiable: gradients flow from its answer to its arguments."""
    method.groundup_differentiable = True  # type: ignore[attr-defined]
    return method


def declared_part(cls: type[Any]) -> type[Part]:
    """Return the class that declares a part's methods: its ancestor that derives from Part directly.

    Raises TypeError for a class that is no part.
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
