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
from sqlalchemy_matrixone_pitr import PitrValidationError


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
    """On one line, on two, on many; quotes of all kinds."""
    calls = [
        call("op.drop_pitr", ["n" * length, 'say "so"', "it's"], {"table": "t" * (length % 7)})
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
