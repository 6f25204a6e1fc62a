"""sqlglot's parser as Python code, also where its compiled build is installed.

``pip install "sqlglot[c]"`` replaces the parser by a compiled one, which no class of ours can
extend ("interpreted classes cannot inherit from compiled"). The source is installed beside it, and
is run once more under names of its own; sqlglot itself goes on with the compiled one.

Source: sqlglot's issue 7923, which says that this stays so.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from sqlglot.dialects.mysql import MySQL


def mysql_parser() -> type[Any]:
    """sqlglot's parser of MySQL, of which a class can be derived."""
    found: type[Any] = MySQL.Parser
    if _is_source(sys.modules[found.__module__]):
        return found
    base = _run("sqlglot.parser", {})
    module = _run(found.__module__, {"sqlglot.parser": base})
    parser: type[Any] = getattr(module, found.__name__)
    return parser


def _is_source(module: ModuleType) -> bool:
    return str(module.__file__).endswith(".py")


def _run(name: str, replaced: Mapping[str, ModuleType]) -> ModuleType:
    """Run the source of a module under another name.

    :param replaced: what it gets in place of modules that it imports.
    """
    compiled = importlib.import_module(name)
    source = Path(str(compiled.__file__)).with_name(f"{name.rpartition('.')[2]}.py")
    module = ModuleType(f"{__name__}.{name}")
    module.__file__, module.__package__ = str(source), name.rpartition(".")[0]

    def import_(
        wanted: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        names: Sequence[str] | None = (),
        level: int = 0,
    ) -> Any:
        if wanted in replaced:
            return replaced[wanted]
        found = builtins.__import__(wanted, globals, locals, names or (), level)
        others = {one: replaced.get(f"{wanted}.{one}") for one in names or ()}
        if not any(others.values()):
            return found
        return SimpleNamespace(
            **{one: other or getattr(found, one) for one, other in others.items()}
        )

    vars(module)["__builtins__"] = {**vars(builtins), "__import__": import_}
    sys.modules[module.__name__] = module  # dataclasses look there
    exec(compile(source.read_text(encoding="utf-8"), str(source), "exec"), vars(module))
    return module
