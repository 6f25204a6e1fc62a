"""Random sequences of statements, and what must hold after each of them.

A model in plain Python does what docs/server.md says of tables, transactions and PITRs; two
accounts, each with one database of the same name, must agree with it after every statement, seen
from the session that works and from one beside it.
"""

from __future__ import annotations

import datetime
from copy import deepcopy
from typing import Any, ClassVar

import pymysql
import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from matrixone_emulator import Emulator

from .conftest import Client
from .model import Account, Moment, Policy, Table, contents, expected, ids_of, rows_of

pytestmark = pytest.mark.slow

IN_TRANSACTION = (
    20101,
    "internal error: unclassified statement appears in uncommitted transaction",
)
LIFE: dict[str, tuple[str, ...]] = {
    "3.0.9": ("drop", "rebuild", "restore"),
    "4.2.0": ("drop", "rebuild", "restore", "truncate"),
}
"""Statements that detach the PITR of a table (docs/server.md, What detaches a policy)."""

WHO = st.integers(0, 1)
TABLE = st.sampled_from(["t", "u"])
NAME = st.sampled_from(["p", "q", "r"])
KEY = st.integers(0, 4)
LENGTH = st.sampled_from([1, 7, 24, 48, 100, 0, 101])
PICK = st.integers(0, 1000)


class Sequences(RuleBasedStateMachine):
    """Statements of two accounts, one of which may have a transaction open."""

    version: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.server = Emulator(version=self.version, lock_timeout=1.0).start()
        self.connections: list[Any] = []
        self.ids: set[int] = set()
        self.counter = 0
        self.accounts: list[Account] = []

    @initialize()
    def two_accounts(self) -> None:
        sys = Account(0, self.connect("dump"), self.connect("dump"))
        sys.client("CREATE ACCOUNT acc ADMIN_NAME 'admin' IDENTIFIED BY '111'")
        ((number,),) = sys.client(
            "SELECT account_id FROM mo_catalog.mo_account WHERE account_name = 'acc'"
        )
        tenant = Account(number, self.connect("acc:admin"), self.connect("acc:admin"))
        self.accounts = [sys, tenant]
        for who, account in enumerate(self.accounts):
            account.client("CREATE DATABASE shop")
            self.new_id(account.database_id())
            self.create_table(who, "t")
            self.write(who, "t", "insert", 1, 1)
            self.create_pitr(who, "p", "table", "t", 1, False)
            self.create_pitr(who, "q", "database", "", 1, False)
        self.mark()
        for who in (0, 1):
            self.write(who, "t", "update", 0, 2)
            self.create_pitr(who, "r", "account", "", 1, False)

    def connect(self, user: str) -> Client:
        connection = pymysql.connect(
            host=self.server.host,
            port=self.server.port,
            user=user,
            password="111",
            autocommit=True,
            ssl_disabled=True,
        )
        self.connections.append(connection)
        return Client(connection)

    def teardown(self) -> None:
        for connection in self.connections:
            connection.close()
        self.server.stop()

    # -- the model ----------------------------------------------------------------------

    def acting(self, who: int) -> Account:
        """The account of an open transaction, for there is one writer at a time."""
        return next((a for a in self.accounts if a.before is not None), self.accounts[who])

    @property
    def inside(self) -> bool:
        return any(account.before is not None for account in self.accounts)

    def done(self, account: Account) -> None:
        """A statement has worked: outside a transaction it is committed with that."""
        if account.before is None:
            self.commit_model(account)

    def commit_model(self, account: Account) -> None:
        account.committed = deepcopy(account.working)
        for kind, table, old_id in account.pending:
            self.detach(account, kind, "table", table, old_id)
        account.pending = []

    def detach(self, account: Account, kind: str, level: str, table: str, old_id: int) -> None:
        for policy in account.policies.values():
            if (
                kind in LIFE[self.version]
                and (policy.level, policy.table) == (level, table)
                and policy.object_id == old_id
            ):
                policy.status = 0

    def renew(self, account: Account, kind: str, name: str) -> None:
        """The table has been made or made anew: its id is one that was never there before."""
        table = account.working[name]
        new = self.new_id(account.ids(account.client)[name])
        account.pending.append((kind, name, table.id))
        if kind not in ("rebuild", "truncate"):
            table.first_id = new
        table.id = new

    def new_id(self, found: int) -> int:
        """An id that was never given before."""
        assert found not in self.ids
        self.ids.add(found)
        return found

    def refused(self, account: Account, statement: str, *codes: int) -> str:
        code, text = account.client.refused(statement)
        assert code in codes, (code, text)
        return text

    # -- tables -------------------------------------------------------------------------

    @rule(who=WHO, table=TABLE)
    def create_table(self, who: int, table: str) -> None:
        account = self.acting(who)
        statement = f"CREATE TABLE shop.{table} (id INT PRIMARY KEY, a INT, s VARCHAR(10))"
        if table in account.working:
            self.refused(account, statement, 1050)
            return
        account.client(statement)
        account.working[table] = Table(["a", "s"], {})
        self.renew(account, "create", table)
        self.done(account)

    @rule(who=WHO, table=TABLE)
    def drop_table(self, who: int, table: str) -> None:
        account = self.acting(who)
        if table not in account.working:
            self.refused(account, f"DROP TABLE shop.{table}", 1146)
            return
        account.client(f"DROP TABLE shop.{table}")
        account.pending.append(("drop", table, account.working.pop(table).id))
        self.done(account)

    @rule(who=WHO, table=TABLE)
    def truncate(self, who: int, table: str) -> None:
        account = self.acting(who)
        if table in account.working:
            account.client(f"TRUNCATE TABLE shop.{table}")
            account.working[table].rows.clear()
            self.renew(account, "truncate", table)
            self.done(account)

    @rule(who=WHO, table=TABLE, to=TABLE)
    def rename_table(self, who: int, table: str, to: str) -> None:
        account = self.acting(who)
        if table not in account.working or table == to:
            return
        statement = f"ALTER TABLE shop.{table} RENAME TO {to}"
        if to in account.working:
            self.refused(account, statement, 1050)
            return
        account.client(statement)
        account.working[to] = account.working.pop(table)
        self.done(account)

    @rule(who=WHO, table=TABLE, kind=st.sampled_from(["add", "drop", "type"]))
    def rebuild(self, who: int, table: str, kind: str) -> None:
        """ALTER TABLE that gives the table a new id."""
        account = self.acting(who)
        found = account.working.get(table)
        if found is None or (kind == "drop" and len(found.columns) == 2):
            return
        if kind == "add":
            name = self.next_name("c")
            change = f"ADD COLUMN {name} INT DEFAULT 7"
            found.columns.append(name)
            for values in found.rows.values():
                values.append(7)
        elif kind == "drop":
            change = f"DROP COLUMN {found.columns.pop()}"
            for values in found.rows.values():
                values.pop()
        else:
            found.big = not found.big
            change = f"MODIFY {found.columns[0]} {'BIGINT' if found.big else 'INT'}"
        account.client(f"ALTER TABLE shop.{table} {change}")
        self.renew(account, "rebuild", table)
        self.done(account)

    @rule(who=WHO, table=TABLE, kind=st.sampled_from(["longer", "index", "rename", "comment"]))
    def alter_in_place(self, who: int, table: str, kind: str) -> None:
        """ALTER TABLE that leaves the table its id."""
        account = self.acting(who)
        found = account.working.get(table)
        if found is None:
            return
        name = self.next_name("n")
        if kind == "longer":
            found.wide += 5
            change = f"MODIFY s VARCHAR({found.wide})"
        elif kind == "index":
            change = f"ADD INDEX {name} ({found.columns[0]})"
        elif kind == "rename":
            change = f"RENAME COLUMN {found.columns[0]} TO {name}"
            found.columns[0] = name
        else:
            change = f"COMMENT = '{name}'"
        account.client(f"ALTER TABLE shop.{table} {change}")
        self.done(account)

    def next_name(self, letter: str) -> str:
        self.counter += 1
        return f"{letter}{self.counter}"

    # -- rows ---------------------------------------------------------------------------

    @rule(
        who=WHO,
        table=TABLE,
        kind=st.sampled_from(["insert", "update", "delete"]),
        key=KEY,
        value=KEY,
    )
    def write(self, who: int, table: str, kind: str, key: int, value: int) -> None:
        account = self.acting(who)
        found = account.working.get(table)
        if found is None:
            return
        column = found.columns[0]
        if kind == "insert":
            statement = f"INSERT INTO shop.{table} (id, {column}, s) VALUES ({key}, {value}, 'x')"
            if key in found.rows:
                self.refused(account, statement, 1062)
                return
            found.rows[key] = [value, "x", *[7] * (len(found.columns) - 2)]
        elif kind == "update":
            statement = f"UPDATE shop.{table} SET {column} = {value}, s = 'y' WHERE id >= {key}"
            for number, values in found.rows.items():
                if number >= key:
                    values[:2] = [value, "y"]
        else:
            statement = f"DELETE FROM shop.{table} WHERE id = {key}"
            found.rows.pop(key, None)
        account.client(statement)
        self.done(account)

    # -- transactions -------------------------------------------------------------------

    @precondition(lambda self: not self.inside)
    @rule(who=WHO)
    def begin(self, who: int) -> None:
        account = self.accounts[who]
        account.before = account.catalogue()
        account.client("BEGIN")

    @precondition(lambda self: self.inside)
    @rule()
    def commit(self) -> None:
        account = self.acting(0)
        account.client("COMMIT")
        account.before = None
        self.commit_model(account)

    @precondition(lambda self: self.inside)
    @rule()
    def rollback(self) -> None:
        account = self.acting(0)
        account.client("ROLLBACK")
        assert account.catalogue() == account.before
        account.before = None
        account.working = deepcopy(account.committed)
        account.pending = []

    @precondition(lambda self: self.inside)
    @rule(
        statement=st.sampled_from(
            [
                "CREATE PITR p FOR DATABASE shop RANGE 1 'd'",
                "ALTER PITR p RANGE 2 'd'",
                "DROP PITR IF EXISTS p",
                "SHOW PITR",
                "SHOW RECOVERY_WINDOW FOR DATABASE shop",
                "RESTORE DATABASE shop FROM PITR p '2026-01-01 00:00:00'",
            ]
        )
    )
    def pitr_in_transaction(self, statement: str) -> None:
        """Refused; that the transaction goes on untouched is for the invariants to see."""
        assert self.acting(0).client.refused(statement) == IN_TRANSACTION

    # -- PITRs --------------------------------------------------------------------------

    @precondition(lambda self: not self.inside)
    @rule(
        who=WHO,
        name=NAME,
        level=st.sampled_from(["account", "database", "table", "table"]),
        table=TABLE,
        length=LENGTH,
        quietly=st.booleans(),
    )
    def create_pitr(
        self, who: int, name: str, level: str, table: str, length: int, quietly: bool
    ) -> None:
        account = self.accounts[who]
        table = table if level == "table" else ""
        target = {
            "account": "",
            "database": "FOR DATABASE shop",
            "table": f"FOR TABLE shop {table}",
        }
        only = "IF NOT EXISTS" if quietly else ""
        statement = f"CREATE PITR {only} {name} {target[level]} RANGE {length} 'h'"
        what = {
            "account": f"account `{'acc' if account.number else 'sys'}`",
            "database": "database `shop`",
            "table": f"database `shop` table `{table}`",
        }[level]
        if not 1 <= length <= 100:
            refusal = f"invalid pitr value {length}"
        elif name in account.policies:
            refusal = "" if quietly else f"pitr {name} already exists"
        elif level == "table" and table not in account.committed:
            refusal = f"table shop.{table} does not exist"
        elif any(
            (p.level, p.table, p.status) == (level, table, 1) for p in account.policies.values()
        ):
            refusal = f"{what} already has a pitr"
        else:
            refusal = ""
            object_id = self.object_id(account, level, table)
            account.policies[name] = Policy(level, table, object_id, length, len(account.moments))
        self.answer(account, statement, refusal)

    def object_id(self, account: Account, level: str, table: str) -> int:
        """The id that mo_pitr records; of a table 4.x records the one from before its rebuild."""
        if level == "account":
            return account.number
        if level == "database":
            return account.database_id()
        found = account.committed[table]
        return found.id if self.version == "3.0.9" else found.first_id

    @precondition(lambda self: not self.inside)
    @rule(who=WHO, name=NAME, length=LENGTH, quietly=st.booleans())
    def alter_pitr(self, who: int, name: str, length: int, quietly: bool) -> None:
        account = self.accounts[who]
        refusal = ""
        if length > 100:
            refusal = f"invalid pitr value {length}"
        elif name in account.policies:
            # No range at all is accepted, and would leave nothing to restore from.
            length = account.policies[name].length = max(length, 1)
        elif not quietly:
            refusal = f"pitr {name} does not exist"
        only = "IF EXISTS" if quietly else ""
        self.answer(account, f"ALTER PITR {only} {name} RANGE {length} 'h'", refusal)

    @precondition(lambda self: not self.inside)
    @rule(who=WHO, name=NAME, quietly=st.booleans())
    def drop_pitr(self, who: int, name: str, quietly: bool) -> None:
        account = self.accounts[who]
        there = account.policies.pop(name, None) is not None
        only = "IF EXISTS" if quietly else ""
        refusal = "" if there or quietly else f"pitr {name} does not exist"
        self.answer(account, f"DROP PITR {only} {name}", refusal)

    def answer(self, account: Account, statement: str, refusal: str) -> None:
        if refusal:
            assert account.client.refused(statement) == (20101, f"internal error: {refusal}")
        else:
            assert account.client(statement) == ()

    # -- the past -----------------------------------------------------------------------

    @rule()
    def mark(self) -> None:
        """Record what is committed, with time before and after it."""
        self.server.advance(datetime.timedelta(seconds=2))
        now = self.server.now()
        self.server.advance(datetime.timedelta(seconds=2))
        ns = (now - datetime.datetime.fromtimestamp(0, datetime.UTC)) // datetime.timedelta(
            microseconds=1
        )
        for account in self.accounts:
            account.moments.append(
                Moment(
                    ns * 1000,
                    f"{now:%Y-%m-%d %H:%M:%S.%f}",
                    deepcopy(account.committed),
                    account.described(account.beside),
                )
            )

    @rule(who=WHO, pick=PICK, table=TABLE)
    def read_the_past(self, who: int, pick: int, table: str) -> None:
        """In a transaction and outside: as it was recorded."""
        account = self.accounts[who]
        moment = account.moments[pick % len(account.moments)]
        statement = f"SELECT * FROM shop.{table} {{MO_TS = {moment.ns}}}"
        if table in moment.world:
            assert sorted(account.client(statement)) == rows_of(moment.world[table])
            assert account.client.labels == ["id", *moment.world[table].columns]
        else:
            self.refused(account, statement, 1064, 1146)

    @precondition(lambda self: not self.inside)
    @rule(who=WHO, pick=PICK, table=TABLE, to=TABLE)
    def clone(self, who: int, pick: int, table: str, to: str) -> None:
        account = self.accounts[who]
        moment = account.moments[pick % len(account.moments)]
        if table not in moment.world or to in account.working:
            return
        account.client(f"CREATE TABLE shop.{to} CLONE shop.{table} {{MO_TS = {moment.ns}}}")
        account.working[to] = deepcopy(moment.world[table])
        self.renew(account, "create", to)
        self.done(account)

    @precondition(
        lambda self: not self.inside and any(account.policies for account in self.accounts)
    )
    @rule(who=WHO, name=PICK, pick=PICK, level=st.sampled_from(["table", "database", "account"]))
    def restore(self, who: int, name: int, pick: int, level: str) -> None:
        """RESTORE of what a PITR contains to a moment that was recorded."""
        account = self.accounts[who]
        if not account.policies:
            account = self.accounts[1 - who]
        names = sorted(account.policies)
        pitr = names[name % len(names)]
        policy = account.policies[pitr]
        if policy.level == "table" or (policy.level == "database" and level == "account"):
            level = policy.level
        moment = account.moments[pick % len(account.moments)]
        known = sorted({*moment.world, *account.working, "t"})
        table = policy.table or known[pick % len(known)]
        what = {"table": f"DATABASE shop TABLE {table}", "database": "DATABASE shop", "account": ""}
        statement = f"RESTORE {what[level]} FROM PITR {pitr} '{moment.text}'"
        if account.moments.index(moment) < policy.since:
            assert " is less than the pitr valid time " in self.refused(account, statement, 20101)
            return
        if level != "table":
            self.restored_database(account, statement, moment)
        elif table in moment.world:
            account.client(statement)
            old = account.working.get(table)
            account.working[table] = deepcopy(moment.world[table])
            account.working[table].id = old.id if old else 0
            self.renew(account, "restore", table)
            self.done(account)
            described = account.described(account.beside)
            assert described[table] == moment.described[table]
        else:
            text = self.refused(account, statement, 20101)
            assert f"table '{table}' does not exists at timestamp: " in text

    def restored_database(self, account: Account, statement: str, moment: Moment) -> None:
        old_id = account.database_id()
        account.client(statement)
        account.pending += [("drop", name, table.id) for name, table in account.working.items()]
        account.working = deepcopy(moment.world)
        for name in account.working:
            self.renew(account, "create", name)
        self.done(account)
        self.new_id(account.database_id())
        self.detach(account, "restore", "database", "", old_id)
        assert account.described(account.beside) == moment.described

    # -- what must hold -----------------------------------------------------------------

    @invariant()
    def tables_and_rows_are_those_of_the_model(self) -> None:
        for account in self.accounts:
            assert contents(account.client) == expected(account.working)
            if account.before is not None:
                assert contents(account.beside) == expected(account.committed)

    @invariant()
    def ids_are_those_of_the_model_and_unique(self) -> None:
        for account in self.accounts:
            assert account.ids(account.client) == ids_of(account.working)
            if account.before is not None:
                assert account.ids(account.beside) == ids_of(account.committed)
        everything = [t.id for account in self.accounts for t in account.committed.values()]
        assert len(everything) == len(set(everything))

    @invariant()
    def pitrs_are_those_of_the_model(self) -> None:
        if not self.accounts:
            return
        rows = self.accounts[0].beside(
            "SELECT pitr_id, create_account, pitr_name, level, table_name, obj_id, pitr_length, "
            "pitr_status FROM mo_catalog.mo_pitr WHERE pitr_name <> 'sys_mo_catalog_pitr'"
        )
        assert len({row[0] for row in rows}) == len(rows)
        assert sorted(row[1:] for row in rows) == sorted(
            (a.number, name, p.level, p.table, p.object_id, p.length, p.status)
            for a in self.accounts
            for name, p in a.policies.items()
        )
        assert len({(row[1], row[2]) for row in rows}) == len(rows)
        active = [(row[1], row[3], row[4]) for row in rows if row[7]]
        assert len(active) == len(set(active))
        for account in self.accounts:
            listed = sorted(row[0] for row in account.beside("SHOW PITR"))
            assert listed == sorted(account.policies)


@pytest.mark.emulator_only
@pytest.mark.parametrize("version", sorted(LIFE))
def test_sequences(version: str) -> None:
    run_state_machine_as_test(
        type("Sequences", (Sequences,), {"version": version}),
        settings=settings(
            max_examples=settings().max_examples // 5,
            stateful_step_count=30,
            phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
        ),
    )
