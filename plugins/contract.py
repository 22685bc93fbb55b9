"""``learn contract``: the plugin contract as a page, made from the signatures and docstrings that it consists of.

The sources are parsed, not imported: nothing heavy is loaded, and defaults and shapes stand as they are written.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from groundup.core.errors import UnknownName
from groundup.core.hookspecs import hookimpl
from groundup.core.technique import CONTRACT

WIDEST = 100
NOTE = "<!-- Made by 'learn contract' from the docstrings in core/; 'make docs' writes it anew. -->"
INTRODUCTION = f"""# The plugin contract, version {CONTRACT}

What a plugin may implement, declare and use. How the parts work together is told in [tutorial.md](tutorial.md) and the
pages it names. A technique says which version it is written for (`contract={CONTRACT}`); a Groundup that speaks only
an older one refuses it, by name, and an older one is understood for as long as nothing of it had to go.
"""
PARTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("Hooks", "hookspecs", ("techniques", "roadmaps", "question_types", "brief_sections", "verdict_given", "commands")),
    (
        "What a plugin declares",
        "technique",
        ("Technique", "Hole", "Source", "Change", "Roadmap", "Day", "TechniqueFiles"),
    ),
    ("Texts", "declared", ("Text", "say")),
    ("What properties are written with: marks", "testing.marks", ("claim", "points", "hole", "after")),
    ("Drawn values", "testing.strategies", ("tensors", "booleans", "float_dtypes")),
    (
        "Comparisons and tolerances",
        "testing.compare",
        (
            "assert_close",
            "assert_equal",
            "assert_form",
            "gradient",
            "rejects",
            "sum_tolerance",
            "Tolerance",
            "Mismatch",
        ),
    ),
    ("Several calls at once", "testing.calls", ("each",)),
    ("State machines", "testing.stateful", ("ImplMachine", "state_machine")),
    ("Several ranks", "testing.ranks", ("per_rank", "PerRank")),
    ("What ranks sent, and how they may fail", "testing.switch", ("Transfer", "Deadlock", "Disagreement")),
    ("The communicator", "communicator", ("Communicator", "Pending", "CommunicationError")),
    ("Types that cross between processes", "plain", ("plain",)),
    ("Labs", "lab", ("Lab", "LabFigure", "LabMark", "Foil", "Bench", "Outcome", "Figure", "Mark")),
    ("What is installed, from a program of your own", "registry", ("Registry",)),
    ("Quiz questions", "quiz.question", ("Question", "Asked", "NotAnAnswer", "FieldProblem")),
)


@dataclass(frozen=True)
class Entry:
    """One name of the contract, and what the page says of it."""

    name: str
    text: str


@click.command("contract")
@click.argument("name", required=False)
def contract(name: str | None) -> None:
    """Print the plugin contract as Markdown: hooks, manifest, testing, interfaces. With NAME, that part alone.

    \b
    learn contract
    learn contract brief_sections
    learn contract assert_close
    """
    if name is None:
        click.echo(page(), nl=False)
        return
    entries = {entry.name: entry for _, _, found in parts() for entry in found}
    if name not in entries:
        raise UnknownName("part of the contract", name, entries, "'learn contract' prints all.")
    click.echo(entries[name].text, nl=False)


@hookimpl
def commands() -> list[click.Command]:
    """Return ``learn contract``."""
    return [contract]


def page() -> str:
    """Return the whole contract as Markdown."""
    pieces = [f"{NOTE}\n{INTRODUCTION}"]
    for title, about, entries in parts():
        pieces.append(f"## {title}\n\n{about}\n")
        pieces += [entry.text for entry in entries]
    return "\n".join(pieces)


def parts() -> Iterator[tuple[str, str, list[Entry]]]:
    """Yield title, introduction and entries of each part."""
    for title, module, names in PARTS:
        tree = _parsed(f"groundup.core.{module}")
        yield title, _text(tree), [_entry(tree, name) for name in names]
    package = "groundup.core.interfaces"
    for found in sorted(pkgutil.iter_modules([str(_file(package).parent)]), key=lambda m: m.name):
        tree = _parsed(f"{package}.{found.name}")
        title = f"Interface: `{package}.{found.name}`"
        yield title, _text(tree), [_entry(tree, n.name) for n in tree.body if isinstance(n, ast.ClassDef)]


def _file(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None
    return Path(str(spec.origin))


def _parsed(module: str) -> ast.Module:
    return ast.parse(_file(module).read_text(encoding="utf-8"))


def _entry(tree: ast.Module, name: str) -> Entry:
    for number, node in enumerate(tree.body):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return Entry(name, f"### {name}\n\n{_code(_decorated(node))}\n\n{_text(node)}\n")
        if isinstance(node, ast.ClassDef) and node.name == name:
            return Entry(
                name, "\n".join([f"### {name}\n", f"{_code(_head(node))}\n", f"{_text(node)}\n", *_body(node)])
            )
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return Entry(name, f"### {name}\n\n{_said_after(tree.body, number)}\n")
    raise LookupError(f"{name} is not defined there")


def _head(node: ast.ClassDef) -> str:
    bases = [ast.unparse(base) for base in node.bases]
    made = next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)
    called = f"\n\n{_signature(made, node.name)}" if made else ""
    return f"class {node.name}({', '.join(bases)})".removesuffix("()") + called


def _body(node: ast.ClassDef) -> Iterator[str]:
    fields = [(n, _said_after(node.body, i)) for i, n in enumerate(node.body) if isinstance(n, ast.AnnAssign)]
    if fields:
        yield "".join(f"- `{_field(field)}`{_about(field, said)}\n" for field, said in fields)
    methods = [n for n in node.body if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
    for method in methods:
        if not {"override", "model_validator"} & set(_decorators(method)) and method.name != "model_post_init":
            yield f"{_code(_decorated(method))}\n\n{_text(method)}\n"


def _decorators(node: ast.FunctionDef) -> list[str]:
    return [ast.unparse(d).partition("(")[0] for d in node.decorator_list]


def _decorated(node: ast.FunctionDef) -> str:
    told = [name.removeprefix("cached_") for name in _decorators(node)]
    kept = [f"@{name}" for name in told if name in ("property", "abstractmethod", "contextmanager")]
    return "\n".join([*kept, _signature(node)])


def _signature(node: ast.FunctionDef, name: str = "") -> str:
    """Return the head of a function, over several lines where it is long; of a constructor, how it is called."""
    arguments = [a for a in _arguments(node.args) if a not in ("self", "cls")]
    returns = f" -> {ast.unparse(node.returns)}" if node.returns and not name else ""
    line = f"{name or node.name}({', '.join(arguments)}){returns}"
    if len(line) <= WIDEST:
        return line
    return "\n".join([f"{name or node.name}(", *(f"    {argument}," for argument in arguments), f"){returns}"])


def _arguments(given: ast.arguments) -> Iterator[str]:
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [*[None] * (len(plain) - len(given.defaults)), *given.defaults]
    yield from (_one(argument, default) for argument, default in zip(plain, defaults, strict=True))
    if given.vararg:
        yield f"*{_one(given.vararg, None)}"
    elif given.kwonlyargs:
        yield "*"
    yield from (_one(a, d) for a, d in zip(given.kwonlyargs, given.kw_defaults, strict=True))
    if given.kwarg:
        yield f"**{_one(given.kwarg, None)}"


def _one(argument: ast.arg, default: ast.expr | None) -> str:
    text = ast.unparse(argument)
    return text if default is None else f"{text}{' = ' if argument.annotation else '='}{ast.unparse(default)}"


def _field(node: ast.AnnAssign) -> str:
    default = _call(node).args[0] if _call(node).args else node.value if not _is_call(node) else None
    shown = "" if default is None or ast.unparse(default) == "..." else f" = {ast.unparse(default)}"
    return f"{ast.unparse(node.target)}: {ast.unparse(_Plain().visit(node.annotation))}{shown}"


def _about(node: ast.AnnAssign, said: str) -> str:
    given = {k.arg: ast.literal_eval(k.value) for k in _call(node).keywords if isinstance(k.value, ast.Constant)}
    bounds = {"ge": "at least {}", "gt": "above {}", "le": "at most {}", "lt": "below {}", "min_length": "{} or more"}
    words = [str(given["description"])] if "description" in given else [said.rstrip(".")] if said else []
    words += [words_.format(given[name]) for name, words_ in bounds.items() if name in given]
    return f": {'; '.join(words)}" if words else ""


def _is_call(node: ast.AnnAssign) -> bool:
    return isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "Field"


def _call(node: ast.AnnAssign) -> ast.Call:
    return node.value if isinstance(node.value, ast.Call) and _is_call(node) else ast.Call(node.target, [], [])


class _Plain(ast.NodeTransformer):
    """Leaves of ``Annotated[type, ...]`` the type."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
            return node.slice.elts[0]
        self.generic_visit(node)
        return node


def _said_after(body: list[ast.stmt], number: int) -> str:
    """Return the text that stands after an assignment, as its docstring."""
    following = body[number + 1] if number + 1 < len(body) else None
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return _markdown(str(following.value.value))
    return ""


def _text(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    return _markdown(ast.get_docstring(node) or "")


def _markdown(docstring: str) -> str:
    """Return a docstring's roles and double ticks as Markdown has them, and what follows '::' as code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring).replace("``", "`")
    return re.sub(r"(?m)^::$", "For example", text).replace("For example\n", "For example:\n")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
