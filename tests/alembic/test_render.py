"""The text of a migration's calls."""

from __future__ import annotations

import subprocess
import sysconfig
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from alembic.autogenerate.api import AutogenContext

from alembic_ext.ops import AlterPitrOp, CreatePitrOp, DropPitrOp, PitrOp, RenewPitrOp
from alembic_ext.render import RENDERERS, call
from sqlalchemy_matrixone_pitr import Pitr, PitrRange, PitrValidationError


def rendered(op: PitrOp) -> str:
    context = SimpleNamespace(opts={"alembic_module_prefix": "op."}, _has_batch=False)
    return RENDERERS[type(op)](cast(AutogenContext, context), op)


OPS: list[tuple[PitrOp, str]] = [
    (CreatePitrOp("a", "7d", level="account"), 'op.create_pitr("a", "7d", level="account")'),
    (CreatePitrOp("a", "7d", level="cluster"), 'op.create_pitr("a", "7d", level="cluster")'),
    (CreatePitrOp("a", "7d", account="x"), 'op.create_pitr("a", "7d", account="x")'),
    (CreatePitrOp("a", "7d", database="x"), 'op.create_pitr("a", "7d", database="x")'),
    (CreatePitrOp("a", "7d", level="database"), 'op.create_pitr("a", "7d", level="database")'),
    (CreatePitrOp("a", "7d", table="x"), 'op.create_pitr("a", "7d", table="x")'),
    (
        CreatePitrOp("a", "7d", table="x", if_not_exists=True),
        'op.create_pitr("a", "7d", table="x", if_not_exists=True)',
    ),
    (AlterPitrOp("a", "7d"), 'op.alter_pitr("a", "7d")'),
    (AlterPitrOp("a", "7d", existing_range="1y"), 'op.alter_pitr("a", "7d", existing_range="1y")'),
    (
        AlterPitrOp("a", "7d", existing_range="1y", existing_table="c"),
        'op.alter_pitr("a", "7d", existing_range="1y", existing_table="c")',
    ),
    (
        AlterPitrOp("a", "7d", existing_range="1y", existing_level="account"),
        'op.alter_pitr("a", "7d", existing_range="1y", existing_level="account")',
    ),
    (DropPitrOp("a"), 'op.drop_pitr("a")'),
    (DropPitrOp("a", if_exists=True), 'op.drop_pitr("a", if_exists=True)'),
    (
        DropPitrOp("a", existing_range="7d", existing_database="b", existing_table="c"),
        'op.drop_pitr("a", existing_range="7d", existing_database="b", existing_table="c")',
    ),
    (
        RenewPitrOp("a", range="7d", table="c", generation=3),
        'op.renew_pitr("a", range="7d", table="c", generation=3)',
    ),
]


@pytest.mark.parametrize(("op", "text"), OPS, ids=[text for _, text in OPS])
def test_exact_text_that_makes_the_same_again(op: PitrOp, text: str) -> None:
    assert rendered(op) == text
    made: dict[str, Any] = {}
    kinds = {
        "create_pitr": CreatePitrOp,
        "alter_pitr": AlterPitrOp,
        "drop_pitr": DropPitrOp,
        "renew_pitr": RenewPitrOp,
    }
    exec(f"op = {text}", {"op": SimpleNamespace(**kinds)}, made)
    assert vars(made["op"]) == vars(op)


def test_a_name_of_the_convention_is_not_written() -> None:
    pitr = Pitr.table("pitr_dev_orders", "orders", "7d")
    renewal = RenewPitrOp("pitr_dev_orders", range="7d", table="orders", generation=2)
    assert [
        rendered(op)
        for op in (
            CreatePitrOp.from_pitr(pitr, "pitr_%(object_name)s"),
            AlterPitrOp.from_pitr(pitr, PitrRange.of("9d"), "pitr_%(object_name)s"),
            DropPitrOp.from_pitr(pitr, "pitr_%(object_name)s"),
            renewal.named_by("pitr_%(object_name)s"),
        )
    ] == [
        'op.create_pitr(None, "7d", table="orders")',
        'op.alter_pitr(None, "9d", existing_range="7d", existing_table="orders")',
        'op.drop_pitr(None, existing_range="7d", existing_table="orders")',
        'op.renew_pitr(None, range="7d", table="orders", generation=2)',
    ]


@pytest.mark.parametrize("op", [op for op, _ in OPS if not isinstance(op, RenewPitrOp)])
def test_reversed_twice_is_the_same(op: PitrOp) -> None:
    try:
        back = op.reverse().reverse()
    except PitrValidationError as error:
        assert "cannot be reversed" in str(error)
    else:
        assert vars(back) | {"if_exists": 0, "if_not_exists": 0} == vars(op) | {
            "if_exists": 0,
            "if_not_exists": 0,
        }


def test_lines_are_as_a_formatter_writes_them(tmp_path: Path) -> None:
    """On one line, on two, on many; quotes of all kinds, characters of any width."""
    calls = [
        call("op.drop_pitr", [letter * length, 'say "so"', "it's"], {"table": "t" * (length % 7)})
        for letter in ("n", "ж", "订", "が", "한", "\u0915\u094d", "e\u0301", "🗄")
        for length in range(1, 90)
    ]
    body = "\n".join(line for text in calls for line in _indented(text))
    path = tmp_path / "m.py"
    path.write_text(f"def upgrade():\n{body}\n")
    ruff = Path(sysconfig.get_path("scripts")) / "ruff"
    subprocess.run([ruff, "format", "--isolated", path], check=True, capture_output=True)
    assert path.read_text() == f"def upgrade():\n{body}\n"


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]
