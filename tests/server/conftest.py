"""The specification of the server as statements and answers, with PyMySQL alone.

A `Client` is one connection; calling it with a statement gives an `Answer`, whatever comes back.
In statements, answers and expected texts alike ``~`` stands for the name of the test's own: its
database is ``~``, its PITRs, accounts and other databases begin with ``~_``. Whatever begins so is
dropped when the test ends.

A version in a test (``server.version``) says where a line holds: the same tests run on the emulator
and, by ``MATRIXONE_URL``, on real servers that others use at the same time.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import secrets
import subprocess
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import pymysql
import pytest

from tests.clock import wait
from tests.conftest import Server

IN_TRANSACTION, AUTOCOMMIT = 1, 2
PASSWORD = "111"


def internal(text: str) -> tuple[int, str]:
    """The server's general error."""
    return 20101, f"internal error: {text}"


UNCOMMITTED = internal("unclassified statement appears in uncommitted transaction")
NO_PRIVILEGE = internal("do not have privilege to execute the statement")


@dataclass(frozen=True)
class Answer:
    """An answer: rows and labels, or affected rows, or an error's code and text."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    affected: int = 0
    warnings: int = 0
    status: int = 0
    error: tuple[int, str] | None = None
    raised: pymysql.Error | None = None

    @property
    def in_transaction(self) -> bool:
        """The status bit of the last packet."""
        return bool(self.status & IN_TRANSACTION)

    @property
    def autocommit(self) -> bool:
        """The status bit of the last packet, which lies (docs/server.md, The status bit)."""
        return bool(self.status & AUTOCOMMIT)

    @property
    def column(self) -> list[Any]:
        return [row[0] for row in self.rows]

    @property
    def value(self) -> Any:
        assert len(self.rows) == 1, self
        return self.rows[0][0]


_open: weakref.WeakSet[Client] = weakref.WeakSet()
"""The connections of a test, which a restart of the server breaks"""


class Client:
    """One connection; a call says one statement, ``~`` in it being *own*."""

    def __init__(self, connection: pymysql.Connection, own: str, said: list[str]) -> None:
        self.connection = connection
        self.own = own
        self._said = said
        _open.add(self)

    def __call__(self, statement: str) -> Answer:
        """Send a statement and return the server's answer, errors included."""
        self._said.append(statement.upper())
        with self.connection.cursor() as cursor:
            try:
                affected = cursor.execute(statement.replace("~", self.own))
            except pymysql.Error as error:
                code, text = error.args
                return Answer(error=(code, self._home(text)), raised=error)
            return Answer(
                rows=[tuple(self._home(value) for value in row) for row in cursor.fetchall()],
                labels=[self._home(column[0]) for column in cursor.description or ()],
                affected=affected,
                warnings=cursor.warning_count,
                status=self.connection.server_status,
            )

    def ok(self, *statements: str) -> Answer:
        """Every one must be taken; the last one's answer."""
        answer = Answer()
        for statement in statements:
            answer = self(statement)
            assert answer.error is None, f"{statement}: {answer.error}"
        return answer

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """In an order of their own, where the statement asks for none."""
        rows = self.ok(statement).rows
        return rows if "order by" in statement.lower() else sorted(rows, key=repr)

    def value(self, statement: str) -> Any:
        return self.ok(statement).value

    def error(self, statement: str) -> tuple[int, str] | None:
        return self(statement).error

    def close(self) -> None:
        _open.discard(self)
        if self.connection.open:
            with contextlib.suppress(pymysql.Error):
                self.connection.close()

    def _home(self, value: Any) -> Any:
        return value.replace(self.own, "~") if isinstance(value, str) else value


def answers(client: Client, statements: Iterable[str]) -> dict[str, Any]:
    """The answer of each statement: an error, or its rows, without a list if it is one.

    Rows of one column are their values; truths, which are words in 3.x, numbers.
    """
    return {statement: _shortened(client(statement)) for statement in statements}


def _shortened(answer: Answer) -> Any:
    if answer.error is not None:
        return answer.error
    truths = {"true": 1, "false": 0}
    rows = [
        tuple(truths.get(cell, cell) if isinstance(cell, str) else cell for cell in row)
        for row in answer.rows
    ]
    short = [row[0] if len(row) == 1 else row for row in rows]
    return short[0] if len(short) == 1 else short


Connect = Callable[..., Client]


def connected(server: Server, own: str, *, said: list[str] | None = None, **options: Any) -> Client:
    settings: dict[str, Any] = {
        "user": server.user,
        "password": server.password,
        "autocommit": True,
        "ssl_disabled": True,
        **options,
    }
    connection = pymysql.connect(host=server.host, port=server.port, **settings)
    return Client(connection, own, [] if said is None else said)


def drop_all(client: Client, kind: str, names: list[str], own: str) -> None:
    # The longer name first: ~_b may have foreign keys to ~.
    for name in sorted(names, reverse=True):
        if name.startswith(own):
            drop = f"DROP {kind} IF EXISTS {quoted(name)}"
            if client.error(drop) and kind == "DATABASE":
                # Before 4.x a table with a back-quote in its name stands in the way.
                for table in client.ok(f"SHOW TABLES FROM {quoted(name)}").column:
                    client.ok(f"DROP TABLE {quoted(name)}.{quoted(table)}")
            client.ok(drop)


def quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


@pytest.fixture
def said() -> list[str]:
    """The statements of the test's clients, for tidying up: reading every list takes a while."""
    return []


@pytest.fixture
def connect(server: Server, prefix: str, said: list[str]) -> Iterator[Connect]:
    """Opens more connections: ``connect(user="account:admin", autocommit=False)``."""
    with ExitStack() as stack:

        def connect(**options: Any) -> Client:
            client = connected(server, prefix, said=said, **options)
            stack.callback(client.close)
            return client

        yield connect


@pytest.fixture
def say(server: Server, prefix: str, said: list[str]) -> Iterator[Client]:
    """The sys account's administrator, in autocommit; tidied up at the end."""
    first = connected(server, prefix, said=said)
    yield first
    first.close()
    made = "\n".join(said)
    if "CREATE" not in made:
        return
    # A new connection: the first may be in any state.
    last = connected(server, prefix)
    try:
        if "CREATE ACCOUNT" in made:
            drop_all(last, "ACCOUNT", last("SHOW ACCOUNTS").column, "~")
        if "CREATE USER" in made:
            users = last("SELECT user_name FROM mo_catalog.mo_user").column
            drop_all(last, "USER", users, "~")
        if "CREATE ROLE" in made:
            roles = last("SELECT role_name FROM mo_catalog.mo_role").column
            drop_all(last, "ROLE", roles, "~")
        if "PITR" in made:
            drop_all(last, "PITR", last("SHOW PITR").column, "~")
        if "SNAPSHOT" in made:
            drop_all(last, "SNAPSHOT", last("SHOW SNAPSHOTS").column, "~")
        if "DATABASE" in made:
            drop_all(last, "DATABASE", last("SHOW DATABASES").column, "~")
    finally:
        last.close()


COLLECTS = os.environ.get("MATRIXONE_COLLECTS")
"""The command that starts the real server anew with empty caches; what it has collected shows only
then. It says, too, that the server collects within a minute."""

_COLLECTED_AFTER = 180.0
"""Seconds that two rounds take on a busy machine: what is of dropped tables goes in the second
(docs/server.md, Garbage collection)."""

_STARTED_AFTER = 120.0


def collect(server: Server, prefix: str) -> Callable[[], None]:
    """A function that collects garbage, all that it may take: three minutes and a restart, if real.

    :param prefix: what the names of the databases begin with that are to be written out before.
    """
    emulator = server.emulator
    if emulator is not None:
        return lambda: emulator.collect_garbage(ttl=datetime.timedelta())
    if not COLLECTS:
        pytest.skip("collects after an hour; MATRIXONE_COLLECTS says how to see what has gone")
    command = COLLECTS

    def collect() -> None:
        write_objects(server, prefix, merge=True)
        time.sleep(_COLLECTED_AFTER)  # no statement tells that it has collected
        for client in list(_open):
            client.connection.close()
        subprocess.run(command, shell=True, check=True, capture_output=True)
        deadline = time.monotonic() + _STARTED_AFTER
        for client in list(_open):
            while True:
                try:
                    client.connection.connect()
                    break
                except pymysql.Error:
                    assert time.monotonic() < deadline, "the server does not start"
                    time.sleep(1)  # nobody answers who could tell
        time.sleep(20)  # 4.2.0 does not know the databases of the past at once

    return collect


def write_objects(server: Server, prefix: str, *, merge: bool) -> None:
    """Write the rows of tables of sys and of their indexes to objects, which is what is collected.

    :param merge: replace the objects by one, so that the old ones can go.
    """
    client = connected(server, "\0")
    try:
        tables = client.ok(
            "SELECT reldatabase, relname FROM mo_catalog.mo_tables "
            f"WHERE relkind IN ('r', 'i') AND reldatabase LIKE '{prefix}%' AND account_id = 0"
        )
        for home, name in tables.rows:
            client(f"SELECT mo_ctl('dn', 'flush', '{home}.{name}')")
            if merge:  # refused for what is one object
                client(f"SELECT mo_ctl('cn', 'MergeObjects', 't:{home}.{name}')")
    finally:
        client.close()


@pytest.fixture
def since_3(server: Server) -> None:
    """For what 2.2.2 does otherwise: test_version_2_2.py has that."""
    if server.version < (3,):
        pytest.skip("since 3.0")


@pytest.fixture
def since_4(server: Server) -> None:
    """For what was measured on 4.2.0."""
    if server.version < (4,):
        pytest.skip("since 4.0")


@pytest.fixture
def before_4(server: Server) -> None:
    """For what was measured on 3.0.9."""
    if not (3,) <= server.version < (4,):
        pytest.skip("of 3.x")


def is_main(server: Server) -> bool:
    """Whether it is what comes after 4.2.0, whose version is empty and counts as newest."""
    return server.version > (4, 2, 0)


@pytest.fixture
def of_main(server: Server) -> None:
    """For what was measured on main, and differs before."""
    if not is_main(server):
        pytest.skip("of main")


def is_3_0_18(server: Server) -> bool:
    """Whether it is the last of 3.x, which has some of 4.x and some of its own."""
    return (3, 0, 18) <= server.version < (4,)


@pytest.fixture
def shop(say: Client) -> Client:
    """`say` with database ~ and table ~.t of two rows."""
    say.ok(
        "CREATE DATABASE ~",
        "CREATE TABLE ~.t (id INT PRIMARY KEY, v VARCHAR(10) DEFAULT 'x')",
        "INSERT INTO ~.t VALUES (1, 'a'), (2, 'b')",
    )
    return say


@contextlib.contextmanager
def account_for_tests(server: Server) -> Iterator[str]:
    """An account for all tests of a server: making one takes the better part of a second."""
    name = f"pt_{secrets.token_hex(4)}"
    client = connected(server, name)
    try:
        client.ok(f"CREATE ACCOUNT ~ ADMIN_NAME 'admin' IDENTIFIED BY '{PASSWORD}'")
        yield name
        client.ok("DROP ACCOUNT IF EXISTS ~")
    finally:
        client.close()


@pytest.fixture(scope="module")
def tenant_account(server: Server) -> Iterator[str]:
    with account_for_tests(server) as name:
        yield name


@dataclass(frozen=True)
class Tenant:
    """An account that is not sys, empty when a test begins, and its administrator's login."""

    name: str
    user: str


@pytest.fixture
def tenant(server: Server, tenant_account: str) -> Iterator[Tenant]:
    yield Tenant(tenant_account, f"{tenant_account}:admin")
    client = connected(server, "\0", user=f"{tenant_account}:admin", password=PASSWORD)
    try:
        drop_all(client, "PITR", client("SHOW PITR").column, "pt")
        drop_all(client, "SNAPSHOT", client("SHOW SNAPSHOTS").column, "pt")
        drop_all(client, "DATABASE", client("SHOW DATABASES").column, "pt")
    finally:
        client.close()


@pytest.fixture
def admin(tenant: Tenant, connect: Connect) -> Client:
    """The tenant's administrator, in autocommit: account-level PITRs clash with nobody's there."""
    return connect(user=tenant.user, password=PASSWORD)


@pytest.fixture
def their_shop(admin: Client) -> Client:
    """`admin` with database ~ and table ~.t of two rows."""
    admin.ok(
        "CREATE DATABASE ~",
        "CREATE TABLE ~.t (id INT PRIMARY KEY, v VARCHAR(10) DEFAULT 'x')",
        "INSERT INTO ~.t VALUES (1, 'a'), (2, 'b')",
    )
    return admin


@dataclass(frozen=True)
class Moment:
    """A moment as the server's clock has it: in its own zone's text, and in unix nanoseconds."""

    text: str
    nanoseconds: int

    @property
    def utc(self) -> str:
        return self.shifted()

    def shifted(self, hours: int = 0) -> str:
        """That many hours later, in UTC."""
        since = datetime.timedelta(microseconds=self.nanoseconds // 1000, hours=hours)
        moment = datetime.datetime(1970, 1, 1) + since
        return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def moment(client: Client) -> Moment:
    """Now, with a little time on both sides of it, so that no commit shares the moment."""
    wait(client.connection, 0.03)
    client.ok("SET @zone = @@time_zone", "SET time_zone = 'SYSTEM'")
    text = client.value("SELECT CAST(now(6) AS CHAR)")
    seconds = client.value(f"SELECT unix_timestamp('{text}')")
    client.ok("SET time_zone = @zone")
    wait(client.connection, 0.03)
    return Moment(text, int(seconds * 1_000_000_000))
