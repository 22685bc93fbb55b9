from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch

from groundup.core.errors import AttemptRaised
from groundup.grader.process.attempt import AttemptProcess, Program
from groundup.grader.process.fork_server import ForkServer
from groundup.grader.process.proxy import proxy
from groundup.grader.process.worker.imports import ImportRules

Ask = Callable[..., Any]
X = torch.tensor([1.0, 2.0, 3.0])
RULES = ImportRules(["einops"], [])


def raised(ask: Ask, source: str, *args: Any) -> AttemptRaised:
    with pytest.raises(AttemptRaised) as caught:
        ask(source, *(args or (X,)))
    return caught.value


# What an attempt may import


@pytest.mark.parametrize(
    "name",
    [
        "torch", "torch.nn.functional", "numpy", "numpy.linalg", "triton", "triton.language", "jaxtyping", "einops",
        "typing_extensions", "math", "os.path", "ctypes", "json", "unittest", "sympy", "_sysconfigdata__linux_x86_64",
        "groundup", "groundup.core", "groundup.core.interfaces", "groundup.core.interfaces.rl", "groundup.core.plain",
            "groundup.core.tensors",
        "groundup.core.communicator",
    ],
)  # fmt: skip
def test_the_libraries_and_the_interfaces_are_allowed(name: str) -> None:
    assert RULES.allows(name)


@pytest.mark.parametrize(
    "name",
    [
        "groundup.solutions", "groundup.solutions.rl.gae", "groundup.plugins", "groundup.plugins.rl.gae.properties",
        "groundup.grader", "groundup.grader.judging.judge", "groundup.core.testing", "groundup.core.registry",
        "groundup.cli",
        "groundup.core.interfaces_", "groundup.core.plainer", "groundup.quizzes", "groundup_", "pytest", "_pytest",
        "hypothesis", "pydantic", "sqlalchemy", "pip", "transformers", "solutions", "torchvision", "numpyro", "",
    ],
)  # fmt: skip
def test_solutions_the_judge_and_everything_else_are_not(name: str) -> None:
    assert not RULES.allows(name)


@pytest.mark.parametrize(
    "name",
    [
        "groundup.solutions.rl.gae",
        "groundup.grader.judging.judge",
        "groundup.plugins.rl.gae",
        "pytest",
        "hypothesis",
        "nowhere",
    ],
)
@pytest.mark.parametrize(
    "statement",
    ["import {name}", "importlib.import_module('{name}')", "__import__('{name}')"],
    ids=["import", "import_module", "__import__"],
)
def test_a_refused_import_says_what_there_is(ask: Ask, name: str, statement: str) -> None:
    error = raised(ask, f"import importlib\n{statement.format(name=name)}\ndef f(x): return x")
    refused = "groundup.plugins" if name == "groundup.plugins.rl.gae" else name
    refused = "groundup.solutions" if name == "groundup.solutions.rl.gae" else refused
    refused = "groundup.grader.judging" if name == "groundup.grader.judging.judge" else refused
    assert error.types[:2] == ("ModuleNotFoundError", "ImportError")
    assert error.message == (
        f"an attempt cannot import {refused!r}; it has the standard library, jaxtyping, numpy, torch, triton and "
        "groundup.core.interfaces"
    )
    assert error.lines.startswith("line 2, in <module>: ")


def test_a_module_that_is_allowed_but_not_there_is_missed_in_the_usual_words(ask: Ask) -> None:
    assert raised(ask, "import torch.nothing\ndef f(x): return x").message == "No module named 'torch.nothing'"


def test_what_the_manifest_lists_may_be_imported(server: ForkServer) -> None:
    source = "import iniconfig\ndef f(x): return iniconfig.IniConfig.__name__"
    process = AttemptProcess(
        server, Program(source, "f.py", "f", ("iniconfig",)), seed=0, call_seconds=20, total_seconds=20
    )
    assert proxy(process, "f", lambda x: None)(1) == "IniConfig"
    process.close()


@pytest.mark.parametrize("name", ["groundup.solutions", "pytest", "hypothesis", "nowhere"])
def test_looking_for_a_refused_module_finds_nothing_and_raises_nothing(ask: Ask, name: str) -> None:
    assert ask(f"import importlib.util\ndef f(x): return importlib.util.find_spec('{name}') is None", X) is True


@pytest.mark.parametrize(
    "module",
    [
        "torch.optim", "torch.func", "torch.amp", "torch.utils.checkpoint", "torch.utils.data", "torch.distributed",
        "torch.nn.attention", "torch.distributions", "torch._dynamo", "torch.utils.benchmark", "numpy.testing",
        "triton.language", "jaxtyping", "sysconfig", "pdb", "doctest", "multiprocessing", "concurrent.futures",
        "groundup.core.interfaces.attention", "groundup.core.interfaces.rl", "groundup.core.interfaces.parallel",
        "groundup.core.interfaces.kv_cache", "groundup.core.interfaces.optimizer", "groundup.core.process_group",
        "groundup.core.interfaces.collective",
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore")
def test_everything_that_an_attempt_may_import_can_be_imported(ask: Ask, module: str) -> None:
    assert ask(f"import {module}\ndef f(x): return x", 1) == 1


def test_libraries_that_look_for_optional_modules_go_on_without_them(ask: Ask) -> None:
    source = "import torch\ndef f(x): return torch.amp.GradScaler('cpu').scale(x)"
    assert torch.equal(ask(source, X), X * 65536)


# What it can reach

OF_CORE = (
    "answers", "cache_folder", "communicator", "interfaces", "messages", "models", "parts", "plain", "process_group",
    "tensors",
)  # fmt: skip


def test_neither_reference_nor_properties_nor_verdict_are_in_its_process(ask: Ask) -> None:
    source = """
import gc, sys, types

def f(x):
    hidden = ("gae", "PPO", "Judge", "PropertyRun")
    names = {m for m in sys.modules if m.startswith("groundup")}
    named = {v.__name__ for v in gc.get_objects() if isinstance(v, types.ModuleType)}
    there = {getattr(v, "__name__", "") for v in gc.get_objects() if isinstance(v, (type, types.FunctionType))}
    return sorted(names | {n for n in named if n.startswith("groundup")}), sorted(there.intersection(hidden))
"""
    modules, found = ask(source, 1)
    assert found == []
    around = {"groundup", "groundup.core", "groundup.grader", "groundup.grader.process"}
    inside = ("groundup.grader.process.worker", *(f"groundup.core.{name}" for name in OF_CORE))
    assert [m for m in modules if m not in around and not any(f"{m}.".startswith(f"{i}.") for i in inside)] == []


def test_its_seed_does_not_tell_the_seed_of_the_cases(ask: Ask) -> None:
    # The fixture starts attempts with seed 0. The judge never gives them its own seed: see test_judge.
    assert ask("import torch\ndef f(x): return torch.initial_seed()", 1) == 0


def test_two_attempts_share_nothing_but_the_libraries(ask: Ask) -> None:
    ask("import torch, builtins\nbuiltins.left = torch.left = 1\ndef f(x): torch.set_default_dtype(torch.float64)", 1)
    source = "import torch, builtins\ndef f(x): return hasattr(torch, 'left'), hasattr(builtins, 'left'), torch.ones(1)"
    assert ask(source, 1)[:2] == (False, False)
    assert ask(source, 1)[2].dtype == torch.float32


def test_random_numbers_are_the_same_for_the_same_seed(ask: Ask) -> None:
    source = "import torch, random, numpy\ndef f(x): return torch.rand(3), random.random(), float(numpy.random.rand())"
    one, other = ask(source, 1), ask(source, 1)
    assert torch.equal(one[0], other[0])
    assert one[1:] == other[1:]


# Files as learners write them


@pytest.mark.parametrize(
    "source",
    [
        "f = lambda x: 2 * x",
        "import functools\ndef times(n, x): return n * x\nf = functools.partial(times, 2)",
        "import functools\n@functools.lru_cache\ndef f(x): return 2 * x",
        "import torch\n@torch.no_grad()\ndef f(x): return 2 * x",
        "import torch\n@torch.inference_mode()\ndef f(x): return 2 * x",
        "class F:\n    def __call__(self, x): return 2 * x\nf = F()",
        "import torch\nclass F(torch.nn.Module):\n    def forward(self, x): return 2 * x\nf = F()",
        "import torch\n@torch.jit.script\ndef f(x): return 2 * x",
        "from jaxtyping import Float\nfrom torch import Tensor\ndef f(x: Float[Tensor, 'T']): return 2 * x",
        "\ufeffdef f(x): return 2 * x",
        "\ufefffrom __future__ import annotations\ndef f(x): return 2 * x",
        "# -*- coding: latin-1 -*-\n# é\ndef f(x): return 2 * x",
        "def f(x):\r\n\treturn 2 * x\r\n",
        "def f(x):\r    return 2 * x\r",
        "def f(x): return 2 * x\n\x0c",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    n: 'int' = 2\ndef f(x): return A().n * x",
        "from __future__ import annotations\nfrom dataclasses import dataclass, KW_ONLY\n@dataclass(frozen=True)\n"
        "class A:\n    _: KW_ONLY\n    n: int = 2\ndef f(x): return A().n * x",
        "from typing import NamedTuple\nclass A(NamedTuple):\n    n: int = 2\ndef f(x): return A().n * x",
        "import enum\nclass A(enum.IntEnum):\n    N = 2\ndef f(x): return int(A.N) * x",
        "import typing\nclass A: n: 'int'\ndef f(x): return len(typing.get_type_hints(A)) * 2 * x",
        "import pickle\nclass A: pass\ndef f(x): return 2 * x if pickle.loads(pickle.dumps(A())) else None",
        "import inspect\ndef f(x): return 2 * x\nassert 'return 2' in inspect.getsource(f)",
        "def f(x): return 2 * x\nif __name__ == '__main__':\n    raise ValueError('tests of my own')",
        "import torch\ntorch.manual_seed(0)\nprint('loaded')\ndef f(x): return 2 * x\nassert f(1) == 2",
        "import sys\nsys.stdout.close()\ndef f(x): return 2 * x",
        "import sys\nsys.stdout = sys.stderr = None\ndef f(x): return 2 * x",
        "import warnings\nwarnings.simplefilter('error')\ndef f(x): return 2 * x",
        "import atexit\natexit.register(print, 'bye')\ndef f(x): return 2 * x",
        "import attempt\ndef f(x): return attempt.twice(x)\ndef twice(x): return 2 * x",
        "global f\nf = None\ndef f(x): return 2 * x",
        "__name__ = 'renamed'\n__file__ = None\ndef f(x): return 2 * x",
    ],
)  # fmt: skip
def test_a_right_answer_counts_however_the_file_is_written(ask: Ask, source: str) -> None:
    assert torch.equal(ask(source, X), 2 * X)


@pytest.mark.parametrize(
    ("source", "message", "lines"),
    [
        ("def f(x:\n    return x", "SyntaxError: '(' was never closed", "line 1: def f(x:"),
        ("def f(x):\nreturn x", "IndentationError: expected an indented block after function definition on line 1",
         "line 2: return x"),
        ("def f(x):\n\tif x:\n        return x", "TabError: inconsistent use of tabs and spaces in indentation",
         "line 3: return x"),
        ("def f(x): return '\0'", "source code string cannot contain null bytes", ""),
        ("from .helper import g\ndef f(x): return x", "attempted relative import with no known parent package",
         "line 1, in <module>: from .helper import g"),
        ("assert 1 == 2, 'my own check'\ndef f(x): return x", "AssertionError: my own check",
         "line 1, in <module>: assert 1 == 2, 'my own check'"),
        ("import sys\nsys.exit(1)\ndef f(x): return x", "SystemExit: 1", "line 2, in <module>: sys.exit(1)"),
        ("def g(x): return x\nclass H: pass", "NameError: the file must define 'f'; it defines g, H", ""),
        ("import torch\nn = 3", "NameError: the file must define 'f'; it defines nothing", ""),
        ("f = 3", "NameError: the file must define 'f'; it defines nothing", ""),
        ("", "NameError: the file must define 'f'; it defines nothing", ""),
        ("def f(x): return x\ndel f", "NameError: the file must define 'f'; it defines nothing", ""),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_says_why_and_where(ask: Ask, source: str, message: str, lines: str) -> None:
    error = raised(ask, source)
    assert message in str(error)
    assert error.lines == lines


@pytest.mark.parametrize(
    ("answer", "named"),
    [
        ("x.numpy()", "a value of type numpy.ndarray"),
        ("x.numpy().mean()", "a value of type numpy.float32"),
        ("x.max(0)", "a value of type torch.return_types.max"),
        ("x.shape", "a value of type torch.Size"),
        ("(v for v in x)", "a value of type generator"),
        ("{1: x}", "a dict whose keys are not all strings"),
        ("{1}", "a value of type set"),
        ("f", "a value of type function"),
        ("type('A', (), {})()", "a value of type attempt.A"),
        ("x.to_sparse()", "a sparse_coo tensor of torch.float32 on cpu"),
        ("10 ** 100", "an integer beyond 64 bits"),
        ("type('Text', (str,), {})('a')", "a value of type attempt.Text"),
        ("type('A', (), {'__class__': dict})()", "a value of type attempt.A"),
    ],
)
def test_an_answer_that_is_not_plain_data_is_told_with_what_to_return(ask: Ask, answer: str, named: str) -> None:
    error = raised(ask, f"def f(x): return {answer}")
    assert error.types == ("NotPlainError",)
    assert error.message == (
        f"the answer holds {named}, which cannot leave the attempt's process: return tensors, numbers, text, lists, "
        "tuples, or dicts whose keys are text"
    )


@pytest.mark.parametrize(
    ("answer", "type_"),
    [
        ("float('nan')", float), ("None", type(None)), ("x.tolist()", list), ("(x, [x, {'a': None}])", tuple),
        ("torch.nn.Parameter(x)", torch.Tensor), ("x.dtype", torch.dtype), ("True", bool), ("x.mean().item()", float),
    ],
)  # fmt: skip
def test_plain_answers_arrive_with_their_types(ask: Ask, answer: str, type_: type) -> None:
    assert type(ask(f"import torch\ndef f(x): return {answer}", X)) is type_


def test_a_function_to_be_compiled_runs_eagerly(ask: Ask) -> None:
    source = "import torch\n@torch.compile\ndef f(x):\n    print('here')\n    return 2 * x"
    assert torch.equal(ask(source, X), 2 * X)


def test_the_judges_own_process_is_not_touched(ask: Ask) -> None:
    finders, hooks = list(sys.meta_path), sys.excepthook
    ask("import sys\nsys.meta_path.clear()\nsys.excepthook = None\ndef f(x): return x", 1)
    assert (sys.meta_path, sys.excepthook) == (finders, hooks)
    assert gc.isenabled()
