from __future__ import annotations

import copy
import gc
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from groundup.core.answers import answer_dtype
from groundup.core.errors import AttemptDied, AttemptRaised
from groundup.core.interfaces.rl import Loss
from groundup.core.testing import Mismatch, each
from groundup.core.testing.compare import OtherDtype
from groundup.core.testing.modules import module_from_source
from groundup.grader.process.attempt import AttemptProcess
from groundup.grader.process.proxy import RemoteFunction, proxy

Start = Callable[..., AttemptProcess]
Soon = Callable[..., bool]

# Dtypes


@pytest.mark.parametrize("body", ["x.float()", "torch.complex(x, x)", "{'a': [x, x.half()]}"])
def test_an_answer_in_another_dtype_than_the_inputs_never_reaches_a_property(start: Start, body: str) -> None:
    called = proxy(start(f"import torch\ndef f(x): return {body}"), "f", lambda x: x)
    with pytest.raises(OtherDtype, match="the result has another dtype"):
        called(torch.ones(2, dtype=torch.float64))


# Gradients


def leaf(*numbers: float, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.tensor(numbers, dtype=dtype, requires_grad=True)


def both(start: Start, source: str) -> tuple[Any, Any]:
    """Return ``f`` of a file in this process, and its proxy for the same file in another process."""
    here = answer_dtype("any")(module_from_source("here", source, "<here>").f)
    return here, proxy(start(source), "f", here)


def gradients(function: Any, make: Callable[[], list[Tensor]], combine: Callable[[Any], Tensor]) -> list[Any]:
    inputs = make()
    found = torch.autograd.grad(combine(function(*inputs)), inputs, allow_unused=True)
    return [None if g is None else (g.dtype, g.tolist()) for g in found]


@pytest.mark.parametrize(
    ("body", "combine"),
    [
        ("x * y", lambda out: out.sum()),
        ("(x * y).sum()", lambda out: out),
        ("torch.softmax(x, 0) @ y", lambda out: out),
        ("x.double() * y", lambda out: out.sum()),
        ("(x * 2, y ** 2, x * y)", lambda out: (out[0] * out[2]).sum()),
        ("{'a': [x.sin()], 'b': {'c': (y.cos(),)}}", lambda out: (out["a"][0] * out["b"]["c"][0]).sum()),
        ("x * 2", lambda out: out.sum()),
        ("(x * y, torch.arange(3), x > 0)", lambda out: (out[0] * out[1]).sum()),
        ("(x * y, (x * y).detach())", lambda out: (out[0] * out[1]).sum()),
        ("(x * y, x.argmax())", lambda out: out[0][out[1]]),
        ("x", lambda out: (out * out).sum()),
        ("(x, x)", lambda out: (out[0] * out[1]).sum()),
        ("torch.complex(x, y)", lambda out: out.abs().sum()),
        ("x.detach() * y", lambda out: out.sum()),
        ("x[:, None] * y", lambda out: out.T.sum(0).prod()),
        ("x * y.mean(), 3, None, 'text', torch.float32", lambda out: out[0].sum() * out[1]),
        ("torch.where(x > 1.5, x, y)", lambda out: (out ** 3).sum()),
        ("(x * 0).expand(4, 3) + y", lambda out: out[1:].sum()),
    ],
)  # fmt: skip
def test_gradients_are_those_of_the_same_call_here(start: Start, body: str, combine: Callable[[Any], Tensor]) -> None:
    here, there = both(start, f"import torch\ndef f(x, y): return {body}")
    make = lambda: [leaf(1.0, 2.0, 3.0), leaf(-1.0, 0.5, 2.0)]  # noqa: E731
    expected = gradients(here, make, combine)
    assert any(g is not None for g in expected)
    assert gradients(there, make, combine) == expected


def test_an_input_given_twice_gets_the_sum_of_its_gradients(start: Start) -> None:
    here, there = both(start, "def f(x, y): return (x * y ** 2).sum()")
    for function in (here, there):
        x = leaf(2.0)
        (g,) = torch.autograd.grad(function(x, x), x)
        assert g.item() == 12.0


def test_gradients_reach_what_the_input_was_made_from(start: Start) -> None:
    _, there = both(start, "def f(x): return x ** 2")
    w = leaf(3.0)
    there(2 * w).sum().backward()
    assert w.grad is not None
    assert w.grad.item() == 24.0


def test_gradients_chain_through_several_calls(start: Start) -> None:
    _, there = both(start, "def f(x): return x ** 2")
    x = leaf(2.0)
    (g,) = torch.autograd.grad(there(there(there(x))), x)
    assert g.item() == 8 * 2.0**7


def test_only_inputs_that_carry_a_gradient_get_one(start: Start) -> None:
    _, there = both(start, "def f(x, y, n): return x * y * n")
    x, y = leaf(2.0), torch.tensor([3.0])
    out = there(x, y, torch.tensor([4]))
    assert out.requires_grad
    out.sum().backward()
    assert (x.grad.item(), y.grad) == (12.0, None)  # type: ignore[union-attr]


def test_keywords_and_nested_inputs_carry_gradients(start: Start) -> None:
    _, there = both(start, "def f(*, batch): return batch['x'][0] * batch['y']")
    x, y = leaf(2.0), leaf(5.0)
    there(batch={"x": (x, 1), "y": y}).backward()
    assert (x.grad.item(), y.grad.item()) == (5.0, 2.0)  # type: ignore[union-attr]


def test_registered_dataclasses_carry_gradients_in_and_out(start: Start) -> None:
    source = "from groundup.core.interfaces.rl import Loss\n"
    source += "def f(l): return Loss(l.loss ** 2, {'m': l.metrics['m'] * l.loss})"
    _, there = both(start, source)
    x, m = leaf(3.0), leaf(2.0)
    out = there(Loss(x, {"m": m}))
    assert type(out) is Loss
    (out.loss + out.metrics["m"]).sum().backward()
    assert (x.grad.item(), m.grad.item()) == (8.0, 3.0)  # type: ignore[union-attr]


def test_a_result_has_a_gradient_exactly_where_the_attempts_own_has(start: Start) -> None:
    _, there = both(start, "def f(x): return x * 2, x.detach(), (x > 0), x.long()")
    assert [t.requires_grad for t in there(leaf(1.0))] == [True, False, False, False]
    assert [t.requires_grad for t in there(torch.tensor([1.0]))] == [False] * 4


def test_without_gradients_here_there_are_none_there(start: Start) -> None:
    _, there = both(start, "import torch\ndef f(x): return x * 2, torch.is_grad_enabled(), x.requires_grad")
    with torch.no_grad():
        out, enabled, carries = there(leaf(1.0))
    assert (out.requires_grad, enabled, carries) == (False, False, True)
    assert there(torch.ones(1))[1:] == (True, False)


def test_an_attempt_may_differentiate_on_its_own(start: Start) -> None:
    source = "import torch\ndef f(x):\n    y = x.detach().requires_grad_()\n"
    source += "    return torch.autograd.grad((y ** 3).sum(), y)[0]"
    _, there = both(start, source)
    assert there(torch.tensor([2.0])).tolist() == [12.0]
    assert there(leaf(2.0)).tolist() == [12.0]


def test_the_graph_may_be_used_again_when_it_is_kept(start: Start) -> None:
    _, there = both(start, "def f(x): return x ** 3")
    x = leaf(2.0)
    out = there(x)
    first = torch.autograd.grad(out, x, retain_graph=True)[0]
    second = torch.autograd.grad(out, x)[0]
    assert (first.item(), second.item()) == (12.0, 12.0)


def test_second_derivatives_are_refused_not_wrong(start: Start) -> None:
    _, there = both(start, "def f(x): return x ** 3")
    x = leaf(2.0)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        torch.autograd.grad(there(x), x, create_graph=True)


def test_an_exception_while_differentiating_is_the_attempts(start: Start) -> None:
    source = """
import torch

class Odd(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 2
    @staticmethod
    def backward(ctx, g): raise ValueError("no gradient today")

def f(x): return Odd.apply(x)
"""
    _, there = both(start, source)
    x = leaf(1.0)
    with pytest.raises(AttemptRaised, match="ValueError: no gradient today"):
        there(x).backward()
    assert there(x).item() == 2.0


def test_an_attempt_that_dies_while_differentiating_has_died(start: Start) -> None:
    source = """
import os, torch

class Odd(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x): return x * 2
    @staticmethod
    def backward(ctx, g): os._exit(5)

def f(x): return Odd.apply(x)
"""
    process = start(source)
    out = proxy(process, "f", lambda x: None)(leaf(1.0))
    with pytest.raises(AttemptDied, match="exit code 5"):
        out.backward()
    assert process.death is not None


@pytest.mark.parametrize(
    ("forged", "complaint"),
    [
        ("[]", "another number of gradients"),
        ("None", "another number of gradients"),
        ("(torch.ones(1),)", "another number of gradients"),
        ("[torch.ones(2)]", "another shape or dtype"),
        ("[torch.ones(1, dtype=torch.float64)]", "another shape or dtype"),
        ("[torch.ones(1, 1)]", "another shape or dtype"),
        ("[1.0]", "another shape or dtype"),
    ],
)
def test_a_forged_gradient_is_a_broken_protocol(start: Start, forged: str, complaint: str) -> None:
    source = "import torch\nfrom groundup.grader.process.worker import serve\n"
    source += f"serve.Server.vjp = lambda *a: {forged}\n"
    source += "import gc\n[s.operations.update(vjp=lambda *a: " + forged + ") for s in gc.get_objects() if type(s) is "
    source += "serve.Server]\ndef f(x): return x * 2"
    process = start(source)
    out = proxy(process, "f", lambda x: None)(leaf(1.0))
    with pytest.raises(AttemptDied, match=complaint):
        out.backward()
    with pytest.raises(AttemptDied, match=complaint):
        process.request("call", {}, None)


@pytest.mark.parametrize("use", ["differentiated", "dropped", "without gradient"])
def test_graphs_are_forgotten_there_when_they_are_not_needed_here(start: Start, soon: Soon, use: str) -> None:
    source = """
import gc
from groundup.grader.process.worker import serve

def f(x): return x * 2, x.detach() * 2
def kept(): return [len(s.graphs) for s in gc.get_objects() if type(s) is serve.Server][0]
"""
    process = start(source)
    there, kept = proxy(process, "f", lambda x: None), proxy(process, "kept", lambda: None)
    x = leaf(*range(1000))
    for _ in range(20):
        with_gradient, without = there(x)
        if use == "differentiated":
            with_gradient.sum().backward()
        elif use == "without gradient":
            with_gradient = None
        del with_gradient
    gc.collect()
    assert soon(lambda: kept() == 0)
    assert without.numel() == 1000


def test_graphs_of_calls_without_any_gradient_are_not_kept(start: Start) -> None:
    source = """
import gc
from groundup.grader.process.worker import serve

def f(x): return x.detach() * 2
def kept(): return [len(s.graphs) for s in gc.get_objects() if type(s) is serve.Server][0]
"""
    process = start(source)
    x = leaf(1.0)
    answers = [proxy(process, "f", lambda x: None)(x) for _ in range(20)]
    assert len(answers) == 20
    proxy(process, "f", lambda x: None)(x)
    assert proxy(process, "kept", lambda: None)() <= 1


@pytest.mark.soak
def test_two_thousand_calls_take_no_more_memory_than_a_hundred(start: Start) -> None:
    source = """
import resource

def f(x): return x * 2
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
"""
    process = start(source)
    there, peak = proxy(process, "f", lambda x: None), proxy(process, "peak", lambda: None)
    x = torch.ones(20_000, requires_grad=True)
    seen = {}
    for n in range(1, 2001):
        there(x).sum().backward()
        if n in (100, 2000):
            seen[n] = peak()
    assert seen[2000] - seen[100] < 10_000, "KiB"  # 1900 graphs would be 300 MB


# Inputs


def named(x: Any, weight: Any = None, *rest: Any, **more: Any) -> None: ...


@pytest.mark.parametrize(
    ("body", "args", "kwargs", "name"),
    [
        ("x.add_(1)", (torch.ones(2),), {}, "x"),
        ("x.zero_()", (torch.ones(2),), {}, "x"),
        ("weight[0] = 5", (torch.ones(2), torch.ones(2)), {}, "weight"),
        ("weight.add_(1)", (torch.ones(2),), {"weight": torch.ones(2)}, "weight"),
        ("x['a'][1].neg_()", ({"a": [1, torch.ones(2)], "b": torch.ones(1)},), {}, "x['a'][1]"),
        ("more['extra'].mul_(2)", (1,), {"extra": torch.ones(2)}, "more['extra']"),
        ("rest[1].mul_(2)", (1, 2, 3, torch.ones(2)), {}, "rest[1]"),
        ("x.metrics['m'].mul_(2)", (Loss(torch.ones(1), {"m": torch.ones(1)}),), {}, "x.metrics['m']"),
        ("x.resize_(5)", (torch.ones(2),), {}, "x"),
        ("x.resize_(0)", (torch.ones(2),), {}, "x"),
        ("x.data = x.data.double()", (torch.ones(2),), {}, "x"),
        ("x.mul_(float('nan'))", (torch.ones(2),), {}, "x"),
        ("x.copy_(x.flip(0))", (torch.tensor([True, False]),), {}, "x"),
        ("x.add_(1)", (torch.ones(2, dtype=torch.complex64),), {}, "x"),
        ("x.zero_()", (torch.ones(2).to(torch.float8_e5m2),), {}, "x"),
        ("x.T.zero_()", (torch.ones(2, 3).T,), {}, "x"),
        ("x.data.add_(1)", (torch.ones(2, requires_grad=True),), {}, "x"),
        ("x.pop('b')", ({"a": torch.ones(2), "b": 1},), {}, "x"),
        ("x['b'] += 1", ({"a": torch.ones(2), "b": 1},), {}, "x"),
        ("x['a'] = x['a'].clone()", ({"a": torch.ones(2)},), {}, "x"),
        ("weight['a'].append(1.0)", (1,), {"weight": {"a": [1.0]}}, "weight"),
        ("x[0] = float(x[0])", ([1],), {}, "x"),
    ],
)
def test_an_input_changed_in_place_is_named(
    start: Start, body: str, args: tuple[Any, ...], kwargs: dict[str, Any], name: str
) -> None:
    function = RemoteFunction(start(f"def f(x, weight=None, *rest, **more): {body}"), None, "f", named)
    with pytest.raises(Mismatch) as raised:
        function(*args, **kwargs)
    assert str(raised.value) == f"the call changed its input {name!r} in place"
    assert (raised.value.expected, raised.value.got) == ("inputs left as they were", "an input changed")


@pytest.mark.parametrize(
    "body",
    [
        "x.add_(1); x.sub_(1)",
        "y = x.clone(); y.add_(1)",
        "x = x.flip(0)",
        "x.requires_grad_()",
        "x.unsqueeze_(0); x.squeeze_(0)",
    ],
)
@pytest.mark.parametrize("x", [torch.tensor([1.0, 2.0]), torch.tensor([torch.nan, torch.inf])], ids=["numbers", "nan"])
def test_an_input_left_or_put_back_as_it_was_is_fine(start: Start, body: str, x: Tensor) -> None:
    before = x.clone()
    assert proxy(start(f"def f(x): {body}"), "f", lambda x: None)(x) is None
    assert torch.equal(x.nan_to_num(), before.nan_to_num())


def test_a_dict_put_back_as_it_was_is_fine(start: Start) -> None:
    function = proxy(start("def f(x): b = x.pop('b'); x['b'] = b; x.update(a=x['a']); return b"), "f", lambda x: None)
    assert function({"a": torch.ones(2), "b": [1, float("nan")]})[0] == 1


def test_the_judges_own_tensor_is_never_changed(start: Start) -> None:
    x = torch.ones(2)
    with pytest.raises(Mismatch):
        proxy(start("def f(x): x.zero_()"), "f", lambda x: None)(x)
    assert x.tolist() == [1, 1]


@pytest.mark.parametrize("changed", [["x"], [99], [-1], [None], [[0]], [True], [{}], 5, "x", {}, None, []])
def test_what_the_worker_says_of_its_inputs_is_read_as_hostile(start: Start, changed: Any) -> None:
    source = "import os\nfrom groundup.grader.process.worker import wire\ndef f(x):\n"
    source += f"    os.write(3, b''.join(wire.encode({{'id': 2, 'ok': True, 'changed': {changed!r}}}, 7)))\n"
    source += "    os.kill(os.getpid(), 19)"
    function = proxy(start(source), "f", lambda x: None)
    if type(changed) is list and changed:
        with pytest.raises(Mismatch, match=r"the call changed its input '\?' in place"):
            function(torch.ones(1))
    else:
        assert function(torch.ones(1)) == 7


# Classes


class Holder:
    """A reference whose constructor takes a tensor and a list."""

    def __init__(self, x: Tensor, names: list[str]) -> None: ...


@pytest.mark.parametrize(("body", "name"), [("x.mul_(2)", "x"), ("names.sort()", "names")])
def test_an_input_that_a_constructor_changed_is_named(start: Start, body: str, name: str) -> None:
    made = proxy(start(f"class Holder:\n    def __init__(self, x, names): {body}", "Holder"), "Holder", Holder)
    with pytest.raises(Mismatch, match=f"changed its input '{name}' in place"):
        made(torch.ones(2), names=["b", "a"])


class Counter:
    """A reference: two public methods, one attribute."""

    size = 3

    def add(self, x: Tensor) -> Tensor: ...  # type: ignore[empty-body]

    def total(self) -> Tensor: ...  # type: ignore[empty-body]

    def _hidden(self) -> None: ...


COUNTER = """
import gc
import torch
from groundup.grader.process.worker import serve

class Counter:
    def __init__(self, start=0, *, step=1):
        if step == 0:
            raise ValueError("a step of 0 counts nothing")
        self.sum, self.step = torch.tensor(float(start)), step
    def add(self, x):
        self.sum = self.sum + self.step * x
        return self.sum
    def total(self): return self.sum
    def _hidden(self): return "seen"
    def other(self): return "other"

def living(): return sum(type(o) is Counter for o in gc.get_objects())
"""


def test_an_object_keeps_its_state_between_calls(start: Start) -> None:
    counter = proxy(start(COUNTER, "Counter"), "Counter", Counter)
    one, other = counter(10, step=2), counter()
    assert [one.add(torch.tensor(float(n))).item() for n in (1, 2, 3)] == [12, 16, 22]
    assert (one.total().item(), other.total().item()) == (22, 0)


def test_gradients_span_one_call_of_a_method(start: Start) -> None:
    counter = proxy(start(COUNTER, "Counter"), "Counter", Counter)(step=5)
    x = leaf(1.0)
    out = counter.add(x)
    out.sum().backward()
    assert x.grad is not None
    assert x.grad.item() == 5.0


@pytest.mark.parametrize("name", ["_hidden", "__len__", "_process", "other", "size", "sum", "nothing"])
def test_only_the_public_methods_of_the_reference_are_there(start: Start, name: str) -> None:
    counter = proxy(start(COUNTER, "Counter"), "Counter", Counter)()
    if name == "_process":
        assert type(getattr(counter, name)) is AttemptProcess
        return
    with pytest.raises(AttributeError, match=name):
        getattr(counter, name)


def test_a_method_that_the_attempt_lacks_is_the_attempts_error(start: Start) -> None:
    counter = proxy(start("class Counter: pass", "Counter"), "Counter", Counter)()
    with pytest.raises(AttemptRaised, match="AttributeError: 'Counter' object has no attribute 'total'"):
        counter.total()


def test_a_constructor_that_raises_is_the_attempts_error(start: Start) -> None:
    with pytest.raises(AttemptRaised, match="ValueError: a step of 0 counts nothing"):
        proxy(start(COUNTER, "Counter"), "Counter", Counter)(step=0)


def test_an_abstract_method_left_out_is_the_attempts_error(start: Start) -> None:
    source = "from groundup.core.interfaces.rl import RLAlgorithm\nclass Rule(RLAlgorithm): pass"
    with pytest.raises(AttemptRaised, match="TypeError: Can't instantiate abstract class Rule"):
        proxy(start(source, "Rule"), "Rule", Counter)()


def test_objects_are_forgotten_there_when_they_are_dropped_here(start: Start) -> None:
    process = start(COUNTER, "Counter")
    counter = proxy(process, "Counter", Counter)
    living = proxy(process, "living", lambda: None)
    kept = [counter(n) for n in range(5)]
    assert living() == 5
    method = kept[0].total
    kept.clear()
    gc.collect()
    assert living() == 1, "the object of a bound method must stay alive"
    assert method().item() == 0
    del method
    gc.collect()
    assert living() == 0


def test_an_object_cannot_be_copied_here(start: Start) -> None:
    counter = proxy(start(COUNTER, "Counter"), "Counter", Counter)()
    for copied in (copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="another process"):
            copied(counter)
    assert counter.total().item() == 0


# Several calls at once

ADDER = """
import torch

class Adder:
    def __init__(self):
        self.buffer = torch.zeros(2)

    def add(self, x):
        if x is None:
            raise ValueError("nothing to add")
        self.buffer += x
        return self.buffer

    def spoil(self, x, y):
        y.zero_()
        return 1
"""


class Adder:
    """The reference class; the attempt's class has the same name."""

    def add(self, x: Any) -> Any: ...

    def spoil(self, x: Any, y: Any) -> Any: ...


def adder(start: Start) -> tuple[AttemptProcess, Any]:
    process = start(ADDER, "Adder")
    return process, proxy(process, "Adder", Adder)()


def test_several_calls_are_one_request_and_each_answer_is_as_it_was_then(start: Start) -> None:
    process, it = adder(start)
    asked = process.requests
    answers = each(it.add, [(1,), (torch.ones(2),), (0.5,)])
    assert [a.tolist() for a in answers] == [[1, 1], [2, 2], [2.5, 2.5]]
    assert process.requests == asked + 1
    assert each(it.add, []) == []


def test_of_several_calls_those_after_an_error_are_not_made(start: Start) -> None:
    _, it = adder(start)
    with pytest.raises(AttemptRaised, match="nothing to add"):
        each(it.add, [(1,), (None,), (1,)])
    assert it.add(0).tolist() == [1, 1]


def test_an_input_that_one_of_several_calls_changed_is_named(start: Start) -> None:
    _, it = adder(start)
    with pytest.raises(Mismatch, match="changed its input 'y' in place"):
        each(it.spoil, [(1, torch.zeros(1)), (1, torch.ones(1))])


def test_several_calls_keep_their_gradients(start: Start) -> None:
    here, there = both(start, "def f(x): return (x * x).sum()")
    for function in (here, there):
        x = leaf(1.0, 2.0)
        one, two = each(function, [(x,), (3 * x,)])
        assert torch.autograd.grad(one + two, x)[0].tolist() == [20, 40]


@pytest.mark.parametrize(
    "answer",
    [
        "{}, [1]", "{'each': [{}]}, [1]", "{'each': [{}, {}]}, [1]", "{'each': [{}]}, [1, 2]", "{'each': {}}, [1, 2]",
        "{'each': [{}, {}]}, (1, 2)", "{'each': 5}, 7", "{'each': [{}, {}]}, None",
    ],
)  # fmt: skip
def test_another_number_of_answers_than_calls_is_a_broken_protocol(start: Start, answer: str) -> None:
    source = "import os\nfrom groundup.grader.process.worker import wire\ndef f(x):\n"
    source += f"    meta, value = {answer}\n"
    source += "    os.write(3, b''.join(wire.encode({'id': 2, 'ok': True, **meta}, value)))\n"
    source += "    os._exit(0)\n"
    with pytest.raises(AttemptDied, match="another number of answers"):
        each(proxy(start(source), "f", lambda x: None), [(1,), (2,)])


@pytest.mark.parametrize("told", ["5", "None", "[]", "{'changed': [99]}", "{'changed': 7}"])
def test_what_is_said_of_one_of_several_calls_is_read_as_hostile(start: Start, told: str) -> None:
    source = "import os\nfrom groundup.grader.process.worker import wire\ndef f(x):\n"
    source += f"    meta = {{'id': 2, 'ok': True, 'each': [{told}, {{}}]}}\n"
    source += "    os.write(3, b''.join(wire.encode(meta, [1, 2])))\n    os._exit(0)\n"
    function = proxy(start(source), "f", lambda x: None)
    if "99" in told:
        with pytest.raises(Mismatch, match=r"changed its input '\?' in place"):
            each(function, [(1,), (2,)])
    else:
        assert each(function, [(1,), (2,)]) == [1, 2]
