"""The Python text of a migration: calls of ``op``, literals only, nothing of ours imported.

Lines are as black writes them; default values are left out.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from alembic.autogenerate.api import AutogenContext
from alembic.autogenerate.render import _alembic_autogenerate_prefix, _user_defined_render

from sqlalchemy_matrixone_pitr.declarations import DEFAULT_NAMING
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel

from .ops import AlterPitrOp, CreatePitrOp, DropPitrOp, PitrOp, RenewPitrOp

LINE = 88
INDENT = 4
"""The indentation of the body of ``upgrade()``, which Alembic adds."""

Rendered = tuple[list[object], dict[str, object]]


def _name(op: PitrOp) -> str | None:
    """Render a name; None lets the naming convention make it when the migration runs."""
    return op.name if op.naming is None else None


def _target(pitr: Pitr, prefix: str = "") -> dict[str, object]:
    told_by_target = pitr.table_name or pitr.database_name or pitr.account_name
    return {
        f"{prefix}level": None if told_by_target else pitr.level.value,
        f"{prefix}account": pitr.account_name,
        f"{prefix}database": pitr.database_name,
        f"{prefix}table": pitr.table_name,
    }


def _create(op: CreatePitrOp) -> Rendered:
    keywords = {**_target(op.pitr), "if_not_exists": op.if_not_exists or None}
    return [_name(op), str(op.pitr.range)], keywords


def _alter(op: AlterPitrOp) -> Rendered:
    keywords: dict[str, object] = {}
    if op.existing_range is not None:
        keywords["existing_range"] = str(op.existing_range)
    if op.existing is not None:
        keywords |= _target(op.existing, "existing_")
    return [_name(op), str(op.range)], keywords


def _drop(op: DropPitrOp) -> Rendered:
    keywords: dict[str, object] = {"if_exists": op.if_exists or None}
    if op.existing is not None:
        keywords |= {"existing_range": str(op.existing.range)}
    if op.target is not None:
        keywords |= _target(op.target, "existing_")
    return [_name(op)], keywords


def _renew(op: RenewPitrOp) -> Rendered:
    return [_name(op)], {
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
        if op.naming != DEFAULT_NAMING:
            keywords["naming"] = op.naming
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
    if INDENT + _width(one) <= LINE:
        return one
    indent = " " * INDENT
    if 2 * INDENT + _width(inside) <= LINE:
        return f"{function}(\n{indent}{inside}\n)"
    lines = "".join(f"{indent}{argument},\n" for argument in arguments)
    return f"{function}(\n{lines})"


def _width(text: str) -> int:
    """Columns, as formatters count them: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.category(character) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(character) in ("W", "F")
        else 1
        for character in text
    )


def literal(value: object) -> str:
    """``repr``, in black's quotes.

    >>> literal("orders"), literal('say "no"'), literal(2), literal(["id"])
    ('"orders"', '\\'say "no"\\'', '2', '["id"]')
    """
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    text = repr(value)
    if isinstance(value, str) and text.startswith("'") and '"' not in text and "'" not in value:
        return f'"{text[1:-1]}"'
    return text
