"""Alembic's implementation for engines whose dialect is called ``matrixone``, as the SDK's are."""

from __future__ import annotations

from typing import Any

from alembic.ddl.impl import _impls
from alembic.ddl.mysql import (
    MySQLAlterDefault,
    MySQLChangeColumn,
    MySQLImpl,
    MySQLModifyColumn,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import DropConstraint

NAME = "matrixone"


class MatrixOneImpl(MySQLImpl):
    """MySQL's, under another dialect's name.

    ``transactional_ddl`` stays False although the server's DDL is transactional: True would put
    BEGIN and COMMIT into scripts, where PITR statements are refused, and would run all revisions in
    one transaction by default. Online a migration is atomic all the same.

    >>> register_impl()
    >>> from alembic.migration import MigrationContext
    >>> MigrationContext.configure(url="matrixone+pymysql://").impl.transactional_ddl
    False
    """


def register_impl() -> None:
    """Make it known for the dialect ``matrixone``, unless somebody has made another one known.

    With it the DDL that Alembic has for the dialect ``mysql`` alone.
    """
    if NAME in _impls:
        return
    _impls[NAME] = MatrixOneImpl
    constructs: tuple[Any, ...] = (
        MySQLAlterDefault,
        MySQLChangeColumn,
        MySQLModifyColumn,
        DropConstraint,
    )
    for construct in constructs:
        visitors = construct.__dict__["_compiler_dispatcher"].specs
        if "mysql" in visitors and NAME not in visitors:
            compiles(construct, NAME)(visitors["mysql"])
