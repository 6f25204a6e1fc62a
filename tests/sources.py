"""Who imports whom, read from the sources; late imports count."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent


def modules(package: str) -> dict[str, Path]:
    """A package's modules by their names, packages by their own."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str, path: Path, *, typing: bool = False) -> Iterator[str]:
    """The full names that a module imports.

    :param typing: those for type checkers too.
    """
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
