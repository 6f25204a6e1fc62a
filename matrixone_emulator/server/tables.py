"""Tables of mo_catalog whose rows the server layer keeps: policies, accounts, users, roles."""

from __future__ import annotations

from ..clock import utc
from ..pitr import show_pitr
from ..pitr.catalog import Catalog
from ..pitr.snapshots import DATABASE, TABLE, shown_columns, table_columns, table_rows
from ..pitr.table import pitr_columns, pitr_table
from ..statements.storage import Storage
from ..system.accounts import Accounts
from ..types.columns import Column, ColumnType
from ..versions.rules import Rules
from .session import Session


def add_tables(storage: Storage, accounts: Accounts, catalog: Catalog, rules: Rules) -> None:
    """Make what the server layer keeps readable in mo_catalog."""
    text, number, stamp = ColumnType.VAR_STRING, ColumnType.LONG, ColumnType.TIMESTAMP

    def columns(**kinds: ColumnType) -> list[Column]:
        return [Column(name, kind) for name, kind in kinds.items()]

    storage.virtual_table(
        "mo_catalog",
        "mo_pitr",
        pitr_columns(rules),
        lambda context: pitr_table(catalog.rows_inside(context.pending_events), rules),
        sys_only=True,
    )
    storage.virtual_table(
        show_pitr.DATABASE,
        show_pitr.TABLE,
        show_pitr.columns(rules, filtered=True),
        lambda context: context.pitr.listed() if isinstance(context, Session) else (),
    )
    storage.virtual_table(
        "mo_catalog",
        "mo_snapshots",
        table_columns(rules),
        lambda context: table_rows(storage.snapshots.made_by(context.account_id), rules),
    )
    storage.virtual_table(
        DATABASE,
        TABLE,
        shown_columns(rules, filtered=True),
        lambda context: context.pitr.listed_snapshots() if isinstance(context, Session) else (),
    )
    storage.virtual_table(
        "mo_catalog",
        "mo_account",
        columns(
            account_id=number,
            account_name=text,
            admin_name=text,
            status=text,
            created_time=stamp,
            comments=text,
        ),
        lambda context: [
            (a.id, a.name, a.admin, a.status, utc(a.created), a.comment) for a in accounts.all()
        ],
        sys_only=True,
    )
    storage.virtual_table(
        "mo_catalog",
        "mo_role",
        columns(role_id=number, role_name=text),
        lambda context: [
            (number, name)
            for account in accounts.all()
            if account.id == context.account_id
            for name, number in account.roles.items()
        ],
    )
    storage.virtual_table(
        "mo_catalog",
        "mo_user",
        columns(user_id=number, user_name=text, status=text, default_role=number),
        lambda context: [
            (user.id, user.name, "unlock", account.roles.get(user.default_role, 0))
            for account in accounts.all()
            if account.id == context.account_id
            for user in account.users.values()
        ],
    )
