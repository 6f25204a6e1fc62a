"""Imports and docstrings, read from the sources; late imports count."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules(package: str) -> dict[str, Path]:
    """A package's modules by their names, packages by their own."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@functools.cache
def imported(name: str, path: Path, *, typing: bool = False) -> tuple[str, ...]:
    """The full names that a module imports.

    :param typing: those for type checkers too.
    """
    return tuple(_imported(name, path, typing=typing))


def _imported(name: str, path: Path, *, typing: bool) -> Iterator[str]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree) if typing else _executed(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) + 1 - node.level]
            origin = ".".join((*base, node.module or "") if node.level else (node.module or "",))
            for alias in node.names:
                yield f"{origin.rstrip('.')}.{alias.name}"


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _executed(child)


def docstrings(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each docstring with the name of what it describes: also of what is assigned before it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "name", "its head"), text
        for block in (getattr(node, "body", None), getattr(node, "orelse", None)):
            for before, after in pairwise(block) if isinstance(block, list) else ():
                target = _assigned(before)
                if target is not None and isinstance(after, ast.Expr):
                    value = after.value
                    if isinstance(value, ast.Constant) and isinstance(value.value, str):
                        yield ast.unparse(target), value.value


def _assigned(statement: ast.stmt) -> ast.expr | None:
    match statement:
        case ast.Assign(targets=[target, *_]) | ast.AnnAssign(target=target):
            return target
    return None


def dependencies(package: str, *, typing: bool = False) -> dict[str, set[str]]:
    """Each module of a package with those of the package that it imports."""
    names = modules(package)
    return {
        name: {
            target if target in names else target.rpartition(".")[0]
            for target in imported(name, path, typing=typing)
            if target.split(".")[0] == package
        }
        for name, path in names.items()
    }
