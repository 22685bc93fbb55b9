"""State machines as properties: drawn steps run on a stateful implementation and on a model of it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from typing import Any

import hypothesis
import torch
from hypothesis.reporting import with_reporter
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test

from groundup.core.testing.hypothesis_internals import as_database, set_key
from groundup.core.testing.literals import literal


class ImplMachine(RuleBasedStateMachine):
    """A hypothesis state machine with ``impl``: rules run steps on it and on the model, invariants compare the two."""

    def __init__(self, impl: Any) -> None:
        super().__init__()
        self.impl = impl

    def _pretty_print(self, value: Any) -> str:
        """Print tensors as in other counterexamples."""
        if isinstance(value, torch.Tensor):
            return literal(value)
        return str(super()._pretty_print(value))  # type: ignore[no-untyped-call]


def state_machine(machine: type[ImplMachine]) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Make a property from a state machine: the claim is the function's, the steps are the machine's.

    ::

        @claim("Whatever is appended, forked and freed, every sequence reads back what was appended to it.")
        @state_machine(AgainstADict)
        def test_reads_back_what_was_appended(impl): ...
    """

    def decorate(test: Callable[[Any], None]) -> Callable[[Any], None]:
        @functools.wraps(test)
        def property(impl: Any) -> None:
            machine_test(machine, impl)()

        property.groundup_machine = machine  # type: ignore[attr-defined]
        return property

    return decorate


def machine_test(
    machine: type[ImplMachine], impl: Any, settings: hypothesis.settings | None = None
) -> Callable[[], None]:
    """Return the hypothesis test that runs ``machine`` on ``impl``."""
    quiet = hypothesis.settings(deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    test: Callable[[], None] = get_state_machine_test(
        functools.partial(machine, impl),  # type: ignore[arg-type]
        settings=settings or quiet,
    )
    return test


def run_again(machine: type[ImplMachine], impl: Any, choices: Any, settings: hypothesis.settings) -> None:
    """Run ``machine`` on ``impl`` with the steps that an earlier run drew. Raises what the run raises.

    Another ``impl`` may allow other steps, so the draws can run out early; then the steps run so far held.
    """
    database = as_database(b"case", choices)
    test = machine_test(
        machine, impl, hypothesis.settings(settings, database=database, phases=[hypothesis.Phase.reuse])
    )
    set_key(test, b"case")
    with with_reporter(lambda _: None), contextlib.suppress(hypothesis.errors.Unsatisfiable):
        test()
