"""Alembic's implementation for engines whose dialect is called ``matrixone``, as the SDK's are."""

from __future__ import annotations

from alembic.ddl.impl import _impls
from alembic.ddl.mysql import MySQLImpl


class MatrixOneImpl(MySQLImpl):
    """MySQL's, under another dialect's name.

    ``transactional_ddl`` stays False although the server's DDL is transactional: True would put
    BEGIN and COMMIT into scripts, where PITR statements are refused, and would run all revisions in
    one transaction by default. Online a migration is atomic all the same.
    """


def register_impl() -> None:
    """Make it known for the dialect ``matrixone``, unless somebody has made another one known."""
    _impls.setdefault("matrixone", MatrixOneImpl)
