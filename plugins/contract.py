"""``learn contract``: prints the plugin contract as a page, generated from signatures and docstrings in core.

The sources are parsed, not imported: no heavy module is loaded, and defaults and shapes appear as written.
"""

from __future__ import annotations

import ast
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import click

from groundup.core.errors import UnknownName
from groundup.core.hookspecs import hookimpl
from groundup.core.messages import Message
from groundup.core.technique import CONTRACT

WIDEST = 100
NOTE = "<!-- Made by 'learn contract' from the docstrings in core/; 'make docs' writes it anew. -->"
INTRODUCTION = f"""# The plugin contract, version {CONTRACT}

What a plugin may implement, declare and use. How the parts work together is told in [tutorial.md](tutorial.md) and the
pages it names. A technique says which version it is written for (`contract={CONTRACT}`); a Groundup that speaks only
an older one refuses it, by name, and an older one is understood for as long as nothing of it had to go.
"""
NAMES = "__contract__"
"""The variable in which a module of core lists the names that plugins may use, in the order of the page."""
ONCE = (
    "groundup.core.hookspecs",
    "groundup.core.models",
    "groundup.core.testing",
    "groundup.core.testing.laws",
    "groundup.core.interfaces",
)


@dataclass(frozen=True)
class Entry:
    """One name of the contract, and its text on the page."""

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
        raise UnknownName(Message("part of the contract"), name, entries, Message("'learn contract' prints all."))
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
    """Yield title, introduction and entries of each part: hooks, declarations, testing, laws and interfaces."""
    hooks, models, testing, laws, interfaces = ONCE
    tree = _parsed(hooks)
    yield "Hooks", _text(tree), [_entry(tree, n.name) for n in _functions(tree) if "hookspec" in _decorators(n)]
    for module in _modules("groundup.core"):
        tree = _parsed(module)
        if names := _named(tree):
            yield f"`{module}`", _text(tree), [_entry(tree, name) for name in names]
    for package in (models, testing):
        for node in _parsed(package).body:
            if isinstance(node, ast.ImportFrom):
                tree = _parsed(str(node.module))
                named = [_entry(tree, alias.name) for alias in node.names]
                yield f"`{package}`: {_last(node.module)}", _text(tree), named
    for module in _modules(laws):
        tree = _parsed(module)
        found = [_entry(tree, n.name) for n in tree.body if isinstance(n, ast.ClassDef) and n.name == "Setting"]
        found += [_law(n) for n in _functions(tree) if "law" in _decorators(n)]
        if found:  # several modules have one of that name
            with_module = [replace(entry, name=f"{_last(module)}.{entry.name}") for entry in found]
            yield f"`{module}`", _text(tree), with_module
    for module in _modules(interfaces):
        tree = _parsed(module)
        classes = [_entry(tree, n.name) for n in tree.body if isinstance(n, ast.ClassDef)]
        yield f"`{module}`", _text(tree), classes


def _modules(package: str) -> list[str]:
    """Return the modules of a package and its subpackages, without the packages in ``ONCE``."""
    found = []
    for module in sorted(pkgutil.iter_modules([str(_file(package).parent)]), key=lambda m: m.name):
        name = f"{package}.{module.name}"
        if name not in ONCE:
            found += _modules(name) if module.ispkg else [name]
    return found


def _named(tree: ast.Module) -> tuple[str, ...]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == NAMES:
            return tuple(ast.literal_eval(node.value))
    return ()


def _functions(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef)]


def _last(module: str | None) -> str:
    return str(module).rpartition(".")[2]


def _law(node: ast.FunctionDef) -> Entry:
    """Return the claim of a law."""
    made = next(d for d in node.decorator_list if isinstance(d, ast.Call) and ast.unparse(d.func) == "law")
    return Entry(node.name, f"### {node.name}\n\n{ast.literal_eval(made.args[0])}\n")


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
    """Return a function's signature, on several lines if long; with ``name``, that of the class's constructor."""
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
    """Replaces ``Annotated[type, ...]`` by the type."""

    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if ast.unparse(node.value) == "Annotated" and isinstance(node.slice, ast.Tuple):
            return node.slice.elts[0]
        self.generic_visit(node)
        return node


def _said_after(body: list[ast.stmt], number: int) -> str:
    """Return the string after an assignment: its attribute docstring."""
    following = body[number + 1] if number + 1 < len(body) else None
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant):
        return _markdown(str(following.value.value))
    return ""


def _text(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> str:
    return _markdown(ast.get_docstring(node) or "")


def _markdown(docstring: str) -> str:
    """Convert a docstring to Markdown: its roles, double backticks and '::' before code."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", docstring).replace("``", "`")
    return re.sub(r"(?m)^::$", "For example", text).replace("For example\n", "For example:\n")


def _code(text: str) -> str:
    return f"```python\n{text}\n```"
