"""Signatures and docstrings read from source text, without importing it.

Importing torch and Lightning takes seconds; the help of a key, and the refusal of a wrong one, do
not need them.
"""

import ast
import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from pixelrnn.cli import docstrings


@dataclass(frozen=True)
class Constructor:
    """A class or function, as its source describes it.

    Attributes:
        names: arguments that it takes by keyword.
        described: argument -> description.
    """

    names: tuple[str, ...]
    described: dict[str, str]


Definition = ast.ClassDef | ast.FunctionDef | ast.Assign


@functools.cache
def constructor(target: str) -> Constructor | None:
    """What a dotted name takes.

    Args:
        target: such as "pytorch_lightning.Trainer"; names that a package re-exports are followed.

    Returns:
        None where the source is not to be found, or makes the object in a way of its own.
    """
    module, _, name = target.rpartition(".")
    found = _find(module, name)
    if found is None:
        return None
    module, node, tree = found
    if isinstance(node, ast.Assign):
        return _of_call(module, node.value)
    if isinstance(node, ast.FunctionDef):
        return Constructor(_argument_names(node), docstrings.arguments(ast.get_docstring(node)))
    return _of_class(module, node, tree)


def _of_call(module: str, call: ast.expr) -> Constructor | None:
    """`Name = function(Class, ...)`: takes what the class takes, and what the function makes."""
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        return None
    names = [argument.id for argument in call.args if isinstance(argument, ast.Name)]
    function = _find(module, call.func.id)
    made: list[tuple[str, str]] = [(module, name) for name in names]
    if function is not None and isinstance(function[1], ast.FunctionDef) and function[1].returns:
        inner = [n.id for n in ast.walk(function[1].returns) if isinstance(n, ast.Name)]
        made += [(function[0], name) for name in inner]
    parts = [constructor(f"{where}.{name}") for where, name in made]
    found = [part for part in parts if part is not None]
    if not found:
        return None
    return Constructor(
        tuple(dict.fromkeys(name for part in found for name in part.names)),
        {name: text for part in found for name, text in part.described.items()},
    )


def _of_class(module: str, node: ast.ClassDef, tree: ast.Module) -> Constructor:
    texts = [ast.get_docstring(node) or _assigned_docstring(node.name, tree)]
    own: tuple[str, ...] = ()
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            own = _argument_names(item)
            texts.append(ast.get_docstring(item))
    described: dict[str, str] = {}
    fields: list[str] = []  # where there is no constructor, annotated fields are its arguments
    for base in node.bases:
        inherited = constructor(f"{module}.{base.id}") if isinstance(base, ast.Name) else None
        if inherited is not None:
            described |= inherited.described
            fields += inherited.names
    fields += [
        item.target.id
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]
    for text in texts:
        described |= docstrings.arguments(text)
    return Constructor(own or tuple(dict.fromkeys(fields)), described)


def _find(module: str, name: str) -> tuple[str, Definition, ast.Module] | None:
    """The definition of a name, through packages that re-export it."""
    path = _file(module)
    if path is None:
        return None
    tree = _tree(path)
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node, tree
        if isinstance(node, ast.Assign) and any(
            isinstance(assigned, ast.Name) and assigned.id == name for assigned in node.targets
        ):
            return module, node, tree
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find(_imported(node, module, path), alias.name)
    return None


def _imported(node: ast.ImportFrom, module: str, path: Path) -> str:
    """The module of a `from ... import`."""
    if not node.level:
        return node.module or ""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for _ in range(node.level - 1):
        package = package.rpartition(".")[0]
    return f"{package}.{node.module}" if node.module else package


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _file(module: str) -> Path | None:
    """The source of a module; only its top-level package is looked up by Python, none imported."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin)
    for part in rest:
        folder = path.parent
        path = folder / part / "__init__.py"
        if not path.is_file():
            path = folder / f"{part}.py"
    return path if path.is_file() and path.suffix == ".py" else None


def _argument_names(function: ast.FunctionDef) -> tuple[str, ...]:
    arguments = [*function.args.args, *function.args.kwonlyargs]
    return tuple(argument.arg for argument in arguments if argument.arg != "self")


def _assigned_docstring(name: str, tree: ast.Module) -> str | None:
    """`Name.__doc__ = ...` after the class, as torch's optimisers have it."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Attribute)
            and target.attr == "__doc__"
            and isinstance(target.value, ast.Name)
            and target.value.id == name
            for target in node.targets
        ):
            return "".join(_strings(node.value))
    return None


def _strings(node: ast.AST) -> list[str]:
    """Text constants of an expression, from left to right."""
    if isinstance(node, ast.Constant):
        return [node.value] if isinstance(node.value, str) else []
    return [text for child in ast.iter_child_nodes(node) for text in _strings(child)]
