"""The Python text of a migration: calls of ``op``, literals only, nothing of ours imported.

Lines are as black writes them; default values are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _alembic_autogenerate_prefix, _user_defined_render

from sqlalchemy_matrixone_pitr.model import PitrLevel

from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, PitrOp, RenewPitrOp

LINE = 88
INDENT = 4
"""Of the body of ``upgrade()``, which Alembic adds."""

Rendered = tuple[list[object], dict[str, object]]


def _create(op: CreatePitrOp) -> Rendered:
    pitr = op.pitr
    told_by_target = pitr.table_name or pitr.database_name or pitr.account_name
    return [pitr.name, str(pitr.range)], {
        "level": None if told_by_target else pitr.level.value,
        "account": pitr.account_name,
        "database": pitr.database_name,
        "table": pitr.table_name,
        "if_not_exists": op.if_not_exists or None,
    }


def _alter(op: AlterPitrOp) -> Rendered:
    existing = None if op.existing_range is None else str(op.existing_range)
    return [op.name, str(op.range)], {"existing_range": existing}


def _drop(op: DropPitrOp) -> Rendered:
    keywords: dict[str, object] = {"if_exists": op.if_exists or None}
    pitr = op.existing
    if pitr is not None:
        told_by_target = pitr.table_name or pitr.database_name or pitr.account_name
        keywords |= {
            "existing_range": str(pitr.range),
            "existing_level": None if told_by_target else pitr.level.value,
            "existing_account": pitr.account_name,
            "existing_database": pitr.database_name,
            "existing_table": pitr.table_name,
        }
    return [op.name], keywords


def _renew(op: RenewPitrOp) -> Rendered:
    return [op.name], {
        "range": str(op.pitr.range),
        "database": op.pitr.database_name,
        "table": op.pitr.table_name if op.pitr.level is PitrLevel.TABLE else None,
        "generation": op.generation,
    }


def _renderer(function: str, arguments: Callable[[Any], Rendered]) -> Callable[..., str]:
    def render(autogen_context: AutogenContext, op: PitrOp) -> str:
        rendered = _user_defined_render("pitr", op, autogen_context)
        if rendered is not False:
            return rendered
        prefix = _alembic_autogenerate_prefix(autogen_context)
        positional, keywords = arguments(op)
        return call(f"{prefix}{function}", positional, keywords)

    return render


RENDERERS: dict[type[PitrOp], Callable[..., str]] = {
    CreatePitrOp: _renderer("create_pitr", _create),
    AlterPitrOp: _renderer("alter_pitr", _alter),
    DropPitrOp: _renderer("drop_pitr", _drop),
    RenewPitrOp: _renderer("renew_pitr", _renew),
}
"""The function that writes each operation."""


def call(function: str, positional: list[object], keywords: dict[str, object]) -> str:
    """A call as black writes it: on one line, else its arguments on one, else a line each.

    >>> call("op.create_pitr", ["orders_week", "7d"], {"table": "orders", "level": None})
    'op.create_pitr("orders_week", "7d", table="orders")'
    """
    arguments = [literal(value) for value in positional]
    arguments += [f"{k}={literal(value)}" for k, value in keywords.items() if value is not None]
    inside = ", ".join(arguments)
    one = f"{function}({inside})"
    if INDENT + len(one) <= LINE:
        return one
    indent = " " * INDENT
    if 2 * INDENT + len(inside) <= LINE:
        return f"{function}(\n{indent}{inside}\n)"
    lines = "".join(f"{indent}{argument},\n" for argument in arguments)
    return f"{function}(\n{lines})"


def literal(value: object) -> str:
    """``repr``, in black's quotes.

    >>> literal("orders"), literal('say "no"'), literal(2)
    ('"orders"', '\\'say "no"\\'', '2')
    """
    text = repr(value)
    if isinstance(value, str) and text.startswith("'") and '"' not in text and "'" not in value:
        return f'"{text[1:-1]}"'
    return text
