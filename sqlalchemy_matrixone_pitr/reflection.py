"""``get_pitrs()`` and ``get_recovery_windows()``."""

from __future__ import annotations

from . import server
from .connections import Bind, roll_back
from .ddl import recovery_window_statement
from .declarations import real_database
from .errors import PitrValidationError
from .model import Pitr, PitrLevel, RecoveryWindow
from .show import (
    check_filter,
    filters,
    own_account,
    parse_window_rows,
    read_pitrs,
    reading,
    typed_errors,
)
from .status import read_state


def get_pitrs(
    bind: Bind,
    *,
    level: PitrLevel | str | None = None,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
    with_status: bool = False,
) -> list[Pitr]:
    """The PITRs that this account has made, newest first; filtered by the server.

    A connection of its own is used.

    :param database_name: as it is declared: ``schema_translate_map`` is followed.
    :param account_name: only those for this account; at account level the current one's reads None.
    :param with_status: also find out whether each still protects its object (one to three more
        statements); without it ``status`` is None, since SHOW PITR does not tell.
    :raises PitrUnsupportedError: not a MatrixOne server.

    >>> from sqlalchemy import create_engine
    >>> get_pitrs(create_engine(url), level="database", database_name="shop")
    []
    """
    wanted = filters(
        level=level,
        account_name=account_name,
        database_name=real_database(bind, database_name),
        table_name=table_name,
    )
    with reading(bind) as connection:
        if with_status:
            return read_state(connection, wanted).pitrs
        return read_pitrs(connection, wanted)


def get_recovery_windows(
    bind: Bind,
    *,
    account_name: str | None = None,
    database_name: str | None = None,
    table_name: str | None = None,
) -> list[RecoveryWindow]:
    """List what the server says it can restore, by object, sorted by name and start.

    One statement however many tables. **No source for coverage**: the server leaves out tables
    that are protected and restore well, and does not know renamed ones.

    :param account_name: another account (sys only); the own one without it.
    :param table_name: one table, with its ``database_name``.
    """
    account = check_filter(account_name, "account name")
    database = check_filter(real_database(bind, database_name), "database name")
    table = check_filter(table_name, "table name")
    if table is not None and database is None:
        raise PitrValidationError(
            f"recovery windows of table {table_name!r} need database_name= as well"
        )
    if account is not None and database is not None:
        raise PitrValidationError(
            "recovery windows are for an account, or for a database or table of the current "
            "account: leave account_name or database_name out"
        )
    with reading(bind) as connection:
        own = own_account(connection)
        statement = recovery_window_statement(
            connection.dialect,
            account=None if account == own else account,  # an account may not name itself
            database=database,
            table=table,
        )
        roll_back(connection)
        with typed_errors():
            rows = connection.exec_driver_sql(statement).all()
        return parse_window_rows(rows, own, lambda texts: server.to_utc(connection, texts))
