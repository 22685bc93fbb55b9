from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from groundup.core.errors import PluginProblem
from groundup.core.interfaces.rl import Loss
from groundup.grader.judging.judge import Judge
from groundup.grader.judging.likeness import distance, traces_apart

# The distance between two answers


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        (torch.ones(2), torch.ones(2), 0.0),
        (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 1.0]), 0.5),
        (torch.tensor([1.0, 1.0]), torch.tensor([1.0, 2.0]), 0.5),
        (torch.tensor([1e-30]), torch.tensor([2e-30]), 0.0),  # both are negligible
        (torch.ones(2), torch.ones(1, 2), math.inf),
        (torch.ones(2), torch.ones(2).double(), math.inf),
        (torch.tensor(1e-3), torch.tensor(1.0002e-3), 0.0),  # what is left of a sum of larger terms
        (torch.tensor([1e-3]), torch.tensor([1.25e-3]), 0.2),
        (torch.tensor(1e-3), torch.tensor(1.25e-3), 0.2),
        (torch.tensor(1e-8).double(), torch.tensor(2e-8).double(), 0.5),
        (torch.ones(0), torch.ones(0), 0.0),
        (torch.ones(0), torch.ones(0, 3), math.inf),
        (torch.tensor([math.nan, 1.0]), torch.tensor([math.nan, 1.0]), 0.0),
        (torch.tensor([math.nan, 1.0]), torch.tensor([math.inf, 1.0]), math.inf),
        (torch.tensor([math.inf]), torch.tensor([-math.inf]), math.inf),
        (torch.tensor([math.inf]), torch.tensor([math.inf]), 0.0),
        (torch.tensor([math.nan, 1.0]), torch.tensor([1.0, math.nan]), math.inf),
        (torch.tensor([True, False]), torch.tensor([True, True]), 1.0),
        (torch.tensor([3]), torch.tensor([4]), 0.25),
        (torch.tensor([1 + 1j]), torch.tensor([1 + 2j]), 0.5),
        (torch.tensor([1 + 1j]), torch.tensor([1 + 1j]), 0.0),
        (torch.ones(1).to(torch.float8_e5m2), torch.ones(1).to(torch.float8_e5m2) , 0.0),
        (1, 1.0, 0.0), (2, 1, 0.5), (0.0, 0, 0.0), (math.nan, math.nan, 0.0), (math.inf, 1.0, math.inf),
        (True, True, 0.0), (True, False, math.inf), (True, 1, math.inf), ("a", "a", 0.0), ("a", "b", math.inf),
        (None, None, 0.0), (None, 0, math.inf), (torch.float32, torch.float32, 0.0), (torch.ones(1), 1.0, math.inf),
        ([1, 2], [1, 2], 0.0), ([1, 2], [1, 4], 0.5), ([1], (1,), math.inf), ([], [], 0.0), ([], [1], math.inf),
        ([1, 2], [1], math.inf), ([[1, 2]], [[1], [2]], math.inf),
        ({"a": 1}, {"a": 1}, 0.0), ({"a": 1}, {"b": 1}, math.inf), ({"a": 1}, {"a": 1, "b": 1}, math.inf),
        (Loss(torch.ones(1)), Loss(torch.ones(1)), 0.0),
        (Loss(torch.ones(1)), Loss(torch.tensor([2.0])), 0.5),
        (Loss(torch.ones(1), {"a": torch.ones(1)}), Loss(torch.ones(1)), math.inf),
    ],
    ids=repr,
)  # fmt: skip
def test_the_distance_is_relative_and_infinite_between_forms(one: Any, other: Any, apart: float) -> None:
    assert distance(one, other) == pytest.approx(apart)
    assert distance(other, one) == pytest.approx(apart)


def test_of_two_traces_is_compared_what_both_saw() -> None:
    assert traces_apart([("a", 1)], [("a", 1), ("b", 2)]) == 0.0
    assert traces_apart([("a", 1)], [("a", 2), ("b", 2)]) == 0.5
    assert traces_apart([], [("a", 1)]) == math.inf


# Which mistake is named


def named(judge: Judge, technique: Any, source: str, seed: int = 1) -> list[tuple[str, str]]:
    verdict = judge.grade(technique, source, "attempt.py", seed=seed).verdict
    assert verdict.outcome == "fell_short"
    return [(d.kind, d.id) for d in verdict.diagnosis]


def test_a_known_mistake_is_named_however_it_is_written(judge: Judge, author: Any) -> None:
    technique = author.technique()
    for seed, source in enumerate(
        [
            "def mean(x, weight): return x.sum() / weight.sum()",
            "import numpy, torch\ndef mean(x, weight): return torch.tensor(float(numpy.sum(x.numpy())) / weight.sum())",
            "def mean(x, weight):\n    n = 0\n    for v in x: n = n + v\n    return n.div(weight.flip(0).sum())",
        ]
    ):
        assert named(judge, technique, source, seed) == [("misconception", "forgets-the-weights")]


def test_what_it_is_told_is_in_the_learners_language(server: Any, author: Any) -> None:
    source = "def mean(x, weight): return x.sum() / weight.sum()"
    technique = author.technique()
    told = [
        Judge(server, lang).grade(technique, source, "a.py", seed=1).verdict.diagnosis for lang in ("zh", "en", "fr")
    ]
    english = "The numbers are added without their weights."
    assert [[d.says for d in found] for found in told] == [["没有乘权重。"], [english], [english]]


def test_a_convention_is_told_as_one(judge: Judge, author: Any) -> None:
    source = "def mean(x, weight): return (x * weight).mean()"
    assert named(judge, author.technique(), source) == [("convention", "divides-by-the-count")]


def test_a_mistake_that_nobody_named_is_not_named(judge: Judge, author: Any) -> None:
    technique = author.technique()
    for source in [
        "def mean(x, weight): return -(x * weight).sum() / weight.sum()",
        "def mean(x, weight): return x.sum() * 0",
        "def mean(x, weight): return (x * weight).sum() / (weight.sum() + 0.5)",
        "def mean(x, weight): raise ValueError",
        "def mean(x, weight): return None",
        "import torch\ndef mean(x, weight): return torch.rand(())",
    ]:
        assert named(judge, technique, source) == []


def test_a_mistake_that_only_looks_like_a_known_one_on_the_smallest_case_is_not_named(
    judge: Judge, author: Any
) -> None:
    source = "def mean(x, weight): return (x.sum() if x[2] <= 0 else (x * weight).sum()) / weight.sum()"
    assert named(judge, author.technique(), source) == []


SAME_TWICE = """
[[misconception]]
id = "forgets-the-weights"
in = "mean"
edit = ["(x * weight).sum()", "x.sum()"]
says = "one way"

[[misconception]]
id = "weighs-with-ones"
in = "mean"
edit = ["(x * weight).sum()", "(x * (weight * 0 + 1)).sum()"]
says = "another way"
"""


def test_of_two_mistakes_that_behave_alike_neither_is_named(judge: Judge, author: Any) -> None:
    source = "def mean(x, weight): return x.sum() / weight.sum()"
    assert named(judge, author.technique(misconceptions=SAME_TWICE), source) == []


IDLE = """
[[misconception]]
id = "changes-nothing"
in = "mean"
edit = ["(x * weight).sum()", "(weight * x).sum()"]
says = "this is right"
"""


def test_an_edit_that_behaves_like_the_reference_is_never_named(judge: Judge, author: Any) -> None:
    exactly = "@given(x=X)\ndef test_a(impl, reference, x): assert_equal(impl(x, ONES), reference(x, ONES))"
    source = "def mean(x, weight): return (x * weight).sum() / weight.sum() * (1 + 1e-6)"
    assert named(judge, author.technique(exactly, misconceptions=IDLE), source) == []


IN_PLACE = """
[[misconception]]
id = "weighs-in-place"
in = "mean"
edit = ["(x * weight).sum()", "x.mul_(weight).sum()"]
says = "The numbers are changed in place."
"""


@pytest.mark.parametrize(
    "body", ["x *= weight; return x.sum() / weight.sum()", "return sum(x.mul_(weight).tolist()) / weight.sum()"]
)
def test_a_mistake_that_shows_only_in_the_inputs_is_named(judge: Judge, author: Any, body: str) -> None:
    technique = author.technique(misconceptions=IN_PLACE + author.misconceptions)
    assert named(judge, technique, f"def mean(x, weight): {body}") == [("misconception", "weighs-in-place")]


def test_a_change_of_the_inputs_with_another_answer_is_not_the_known_one(judge: Judge, author: Any) -> None:
    technique = author.technique(misconceptions=IN_PLACE + author.misconceptions)
    assert named(judge, technique, "def mean(x, weight): x *= 2 * weight; return x.sum() / weight.sum()") == []


EXACTLY = """
@given(x=tensors((3,), dtype=torch.float64), weight=tensors((3,), low=0.5, dtype=torch.float64))
def test_in_float64(impl, reference, x, weight):
    x = x / 3
    tolerance = sum_tolerance(torch.float64, 3, 4.0)
    assert_close(impl(x, weight), reference(x, weight), dtype=torch.float64, tolerance=tolerance)
"""
ROUNDS = """
[[misconception]]
id = "sums-in-float32"
in = "mean"
edit = ["(x * weight).sum()", "(x * weight).float().sum().to(x.dtype)"]
says = "The sum is rounded to float32."
"""


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("x.mul(weight).to(torch.float32).sum().double() / sum(weight)", ["sums-in-float32"]),
        ("(x * weight).sum() / weight.sum() * (1 + 1e-8)", []),
    ],
)
def test_a_mistake_of_rounding_is_named(judge: Judge, author: Any, body: str, found: list[str]) -> None:
    technique = author.technique(EXACTLY, misconceptions=ROUNDS + author.misconceptions)
    source = f"import torch\ndef mean(x, weight): return {body}"
    assert [name for _, name in named(judge, technique, source)] == found


OF_A_TEXT = """
@given(x=X, weight=X)
def test_the_mean(impl, reference, x, weight): check(impl(x, weight.abs() + 1), reference(x, weight.abs() + 1))

@given(x=X)
def test_a_text_is_no_weight(impl, reference, x):
    with rejects(TypeError, AttributeError, ValueError, what="a text"):
        impl(x, "heavy")
"""


def test_how_an_argument_of_a_wrong_type_fails_is_not_compared(judge: Judge, author: Any) -> None:
    source = "def mean(x, weight):\n    if isinstance(weight, str): raise {}\n    return x.sum() / weight.sum()"
    technique = author.technique(OF_A_TEXT)
    for error, found in [("AttributeError", ["forgets-the-weights"]), ("ValueError", ["forgets-the-weights"])]:
        assert [name for _, name in named(judge, technique, source.format(error))] == found


PAIR = """
class Pair:
    def mean(self, x):
        # HOLE 1/2: the mean
        return x.mean()
        # END HOLE

    def largest(self, x):
        # HOLE 2/2: the largest
        return x.max()
        # END HOLE
"""
OF_A_PAIR = """
@given(x=X)
def test_the_mean(impl, reference, x): check(impl().mean(x), reference().mean(x))

@given(x=X)
def test_the_largest(impl, reference, x): check(impl().largest(x), reference().largest(x))
"""
PAIRED = """
[[misconception]]
id = "forgets-to-divide"
in = "Pair.mean"
edit = ["x.mean()", "x.sum()"]
says = "A mean is divided by the count."

[[misconception]]
id = "takes-the-smallest"
in = "Pair.largest"
edit = ["x.max()", "x.min()"]
says = "The smallest is not the largest."

[[misconception]]
id = "takes-the-largest-of-magnitudes"
in = "Pair.largest"
edit = ["x.max()", "x.abs().max()"]
says = "The sign counts."
"""


@pytest.mark.parametrize(
    ("largest", "found"),
    [
        ("x.min()", {("forgets-to-divide", True), ("takes-the-smallest", True)}),
        ("x.max()", {("forgets-to-divide", False)}),
        ("x[0]", set()),
    ],
)
def test_two_known_mistakes_at_once_are_told_as_what_perhaps_happened(
    judge: Judge, author: Any, largest: str, found: set[Any]
) -> None:
    manifest = author.manifest.replace('implements="mean"', 'implements="Pair"')
    technique = author.technique(OF_A_PAIR, solution=PAIR, misconceptions=PAIRED, manifest=manifest)
    source = f"class Pair:\n    def mean(self, x): return sum(x)\n    def largest(self, x): return {largest}"
    verdict = judge.grade(technique, source, "attempt.py", seed=1).verdict
    assert {(d.id, d.perhaps) for d in verdict.diagnosis} == found


OF_BOTH = """
@given(x=X)
def test_the_mean(impl, reference, x): check(impl().mean(x), reference().mean(x))

@given(x=X)
def test_both(impl, reference, x):
    check(impl().mean(x) * impl().largest(x), reference().mean(x) * reference().largest(x))
"""


def test_a_second_mistake_that_never_shows_alone_is_told_with_the_first(judge: Judge, author: Any) -> None:
    manifest = author.manifest.replace('implements="mean"', 'implements="Pair"')
    technique = author.technique(OF_BOTH, solution=PAIR, misconceptions=PAIRED, manifest=manifest)
    source = "class Pair:\n    def mean(self, x): return sum(x)\n    def largest(self, x): return min(x)"
    verdict = judge.grade(technique, source, "attempt.py", seed=1).verdict
    assert {d.id for d in verdict.diagnosis} == {"forgets-to-divide", "takes-the-smallest"}


BOTH = """
class Both:
    def of(self, x):
        # HOLE 1/1: mean and largest
        return [x.mean(), x.max()]
        # END HOLE
"""
IN_ONE = """
@given(x=X)
def test_both(impl, reference, x):
    for got, expected in zip(impl().of(x), reference().of(x), strict=True):
        check(got, expected)
"""


def test_two_mistakes_that_show_in_one_answer_are_told_too(judge: Judge, author: Any) -> None:
    manifest = author.manifest.replace('implements="mean"', 'implements="Both"')
    mistakes = PAIRED.replace("Pair.mean", "Both.of").replace("Pair.largest", "Both.of")
    technique = author.technique(IN_ONE, solution=BOTH, misconceptions=mistakes, manifest=manifest)
    source = "class Both:\n    def of(self, x): return [sum(x), -max(-x)]"
    verdict = judge.grade(technique, source, "attempt.py", seed=1).verdict
    assert {d.id for d in verdict.diagnosis} == {"forgets-to-divide", "takes-the-smallest"}


CANONICAL = """
def canonical(trace):
    return [(name, abs(answer) if name == "" else answer) for name, answer in trace]


@given(x=X)
def test_the_size_of_it(impl, reference, x): check(impl(x, ONES).abs(), reference(x, ONES).abs())
"""


def test_answers_are_compared_in_the_form_that_the_technique_says(judge: Judge, author: Any) -> None:
    source = "def mean(x, weight): return -x.sum() if x[0] > 0 else x.sum()"
    plain = CANONICAL.replace("def canonical", "def other")
    for properties, found in ((CANONICAL, [("misconception", "forgets-to-divide")]), (plain, [])):
        assert named(judge, author.technique(properties), source) == found


RULE = """
import torch
from groundup.core.interfaces.rl import Loss, RLAlgorithm


class Rule(RLAlgorithm):
    def __init__(self, scale=1.0):
        self.scale = scale

    def loss(self, batch):
        # HOLE 1/1: the loss
        value = self.scale * (batch["p"].log() * batch["a"]).sum()
        return Loss(value, {"count": torch.tensor(float(len(batch["a"])))})
        # END HOLE
"""
RULE_PROPERTY = """
@given(p=tensors((3,), low=0.125), a=tensors((3,)), scale=st.sampled_from([1.0, 2.0]))
def test_equals_the_reference(impl, reference, p, a, scale):
    batch = {"p": p.clone().requires_grad_(), "a": a}
    got, expected = impl(scale=scale).loss(batch), reference(scale=scale).loss(batch)
    check(got.loss, expected.loss)
    check(gradient(got.loss, [batch["p"]])[0], gradient(expected.loss, [batch["p"]])[0])
"""
RULE_MISTAKES = """
[[misconception]]
id = "cuts-the-gradient"
in = "Rule.loss"
edit = ['batch["p"].log() * batch["a"]', 'batch["p"].detach().log() * batch["a"] + batch["p"] * 0']
says = "The gradient is cut."

[[misconception]]
id = "forgets-the-scale"
in = "Rule.loss"
edit = ["self.scale", "1.0"]
says = "The scale is not used."

[[misconception]]
id = "shares-what-it-was-made-with"
in = "Rule.loss"
edit = ["self.scale", "self.nothing"]
says = "It reads what is not there."
"""


@pytest.mark.parametrize(
    ("body", "mistake"),
    [
        ("Loss(self.scale * (torch.log(b['p'].data) * b['a'] + 0 * b['p']).sum(), c(b))", "cuts-the-gradient"),
        ("Loss((b['a'] * b['p'].log()).sum(), c(b))", "forgets-the-scale"),
        ("Loss(self.typo * b['p'].sum(), c(b))", "shares-what-it-was-made-with"),
        ("Loss(self.scale * (b['p'].log() * b['a']).sum() + 1, c(b))", None),
    ],
)
def test_mistakes_of_a_class_are_told_apart_by_answers_gradients_and_errors(
    judge: Judge, author: Any, body: str, mistake: str | None
) -> None:
    manifest = author.manifest.replace('implements="mean"', 'implements="Rule"')
    technique = author.technique(RULE_PROPERTY, solution=RULE, misconceptions=RULE_MISTAKES, manifest=manifest)
    source = "import torch\nfrom groundup.core.interfaces.rl import Loss\n"
    source += "def c(b): return {'count': torch.tensor(float(len(b['a'])))}\n"
    source += (
        f"class Rule:\n    def __init__(self, scale=1.0): self.scale = scale\n    def loss(self, b): return {body}"
    )
    assert named(judge, technique, source) == ([("misconception", mistake)] if mistake else [])


def test_an_attempt_that_dies_while_it_is_diagnosed_has_failed_without_a_name(judge: Judge, author: Any) -> None:
    technique = author.technique("def test_of_ones(impl): check(impl(ONES, 2 * ONES), torch.tensor(1.0))")
    source = "import os\ncalls = []\ndef mean(x, weight):\n    calls.append(1)\n"
    source += "    return os._exit(1) if len(calls) > 1 else x.sum() / weight.sum()"
    verdict = judge.grade(technique, source, "attempt.py", seed=1).verdict
    assert ([p.status for p in verdict.properties], verdict.diagnosis) == (["failed"], ())


@pytest.mark.parametrize("budget", ["groundup.grader.judging.diagnosis", "groundup.grader.judging.property_run"])
def test_a_diagnosis_whose_time_is_up_says_so(
    judge: Judge, author: Any, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    burns = "import time\ndef mean(x, weight):\n    began = time.thread_time()\n"
    burns += "    while time.thread_time() < began + 0.02: pass\n    return x.sum() / weight.sum()"
    technique = author.technique()
    whole = judge.grade(technique, burns, "attempt.py", seed=1).verdict
    assert ([d.id for d in whole.diagnosis], whole.diagnosis_stopped) == (["forgets-the-weights"], False)
    monkeypatch.setattr(f"{budget}.DIAGNOSIS_SECONDS", 0.0)
    verdict = judge.grade(technique, burns, "attempt.py", seed=1).verdict
    assert (verdict.outcome, verdict.diagnosis, verdict.diagnosis_stopped) == ("fell_short", (), True)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        ('["x.sum()", "x"]', "solution.py: 'x.sum()' is found 0 times in 'mean', expected once"),
        ('["total / weight.sum()", "total /"]', "solution.py is no Python: invalid syntax"),
    ],
)
def test_an_edit_that_does_not_fit_leaves_the_verdict_without_a_name(
    judge: Judge, author: Any, edit: str, problem: str
) -> None:
    broken = f'[[misconception]]\nid = "broken"\nin = "mean"\nsays = "b"\nedit = {edit}\n'
    technique = author.technique(misconceptions=broken)
    grading = judge.grade(technique, "def mean(x, weight): return x.sum()", "a.py", seed=1)
    assert (grading.verdict.outcome, grading.verdict.diagnosis) == ("fell_short", ())
    assert isinstance(grading.undiagnosed, PluginProblem)
    assert str(grading.undiagnosed).startswith("misconception 'broken' of /")
    assert str(grading.undiagnosed).endswith(problem)


def test_an_edit_that_cannot_be_loaded_leaves_the_verdict_without_a_name(judge: Judge, author: Any) -> None:
    broken = '[[misconception]]\nid = "broken"\nsays = "b"\nhole = 1\nreplace = "pass\\nundefined"\n'
    solution = "# HOLE 1/1: all of it\ndef mean(x, weight): return (x * weight).sum() / weight.sum()\n# END HOLE\n"
    technique = author.technique(misconceptions=broken, solution=solution)
    grading = judge.grade(technique, "def mean(x, weight): return x.sum()", "a.py", seed=1)
    assert (grading.verdict.outcome, grading.verdict.diagnosis) == ("fell_short", ())
    problem = "misconception 'broken' of toys/mean cannot be loaded: name 'undefined'"
    assert str(grading.undiagnosed).startswith(problem)
