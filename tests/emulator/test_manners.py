"""Clients that leave, endless statements, secrets, and how much of the past is kept."""

from __future__ import annotations

import datetime
import socket
import threading
import time
from collections.abc import Callable

import pymysql
import pytest

from matrixone_emulator import Emulator
from matrixone_emulator.errors import SqlError
from matrixone_emulator.parsing.redact import redacted
from matrixone_emulator.storage.store import Gate
from tests.clock import until

from .conftest import Client, Connect

ENDLESS = "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r"
MO_ROLE = "SELECT role_id FROM mo_catalog.mo_role FOR UPDATE"


def leave(client: Client) -> None:
    """Without a goodbye."""
    client.connection._sock.shutdown(socket.SHUT_RDWR)


def in_background(client: Client, statement: str) -> threading.Thread:
    def run() -> None:
        with pytest.raises(Exception, match=r"Lost connection|gone away|\(0, ''\)"):
            client(statement)

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)  # nobody tells when the statement has begun
    return thread


@pytest.fixture
def client(connect: Connect) -> Client:
    found = connect()
    found("CREATE DATABASE d")
    found("CREATE TABLE d.t (id INT)")
    return found


def test_who_leaves_frees_its_locks(client: Client, connect: Connect) -> None:
    leaver = connect()
    leaver("BEGIN")
    leaver("INSERT INTO d.t VALUES (1)")
    leaver(MO_ROLE)
    leave(leaver)
    client("BEGIN")
    client("INSERT INTO d.t VALUES (2)")
    client(MO_ROLE)
    assert client("SELECT id FROM d.t") == ((2,),)
    client("ROLLBACK")


def test_who_leaves_while_waiting_frees_its_locks(client: Client, connect: Connect) -> None:
    writer, leaver = connect(), connect()
    writer("BEGIN")
    writer("INSERT INTO d.t VALUES (1)")
    leaver("BEGIN")
    leaver(MO_ROLE)
    waiting = in_background(leaver, "INSERT INTO d.t VALUES (2)")
    started = time.monotonic()
    leave(leaver)
    client("BEGIN")
    client(MO_ROLE)
    assert time.monotonic() - started < 1.5  # the lock timeout is two seconds
    client("ROLLBACK")
    waiting.join()


@pytest.mark.parametrize("statement", [ENDLESS, "SELECT SLEEP(60)"], ids=["endless", "sleep"])
def test_kill_ends_a_statement(client: Client, connect: Connect, statement: str) -> None:
    endless = connect()
    thread = in_background(endless, statement)
    client(f"KILL {endless.connection.thread_id()}")
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize("statement", [ENDLESS, "SELECT SLEEP(60)"], ids=["endless", "sleep"])
def test_stop_ends_a_statement(server: Emulator, connect: Connect, statement: str) -> None:
    thread = in_background(connect(), statement)
    started = time.monotonic()
    server.stop()
    assert time.monotonic() - started < 2
    thread.join(5)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    ("statement", "logged"),
    [
        ("SELECT 'x'", "SELECT 'x'"),
        ("CREATE USER u IDENTIFIED BY 's3cret'", "CREATE USER u IDENTIFIED BY '***'"),
        ("SELECT 'mysql://dump:s3cret@host/d'", "SELECT 'mysql://dump:***@host/d'"),
        (
            "CREATE STAGE s URL='s3://b' CREDENTIALS={'AWS_SECRET_KEY'='s3cret'}",
            "CREATE STAGE s URL='***' CREDENTIALS={'***'='***'}",
        ),
    ],
)
def test_secrets_are_not_logged(statement: str, logged: str) -> None:
    assert redacted(statement) == logged


@pytest.mark.parametrize(
    "statement",
    [
        "create user u identified by `s3cret`",
        "create user u identified by s3cret",
        "create user u identified by /* s3cret */ 's3cret'",
        "create stage s url='x' credentials={'AWS_KEY_ID'='s3cret','AWS_SECRET_KEY'='s3cret'}",
        "change master to master_password='s3cret'",
        "change master to master_password=s3cret",
        "prepare s from 'alter user u identified by ''s3cret'''",
        "prep/**/are s from 'alter user u iden/**/tified by ''s3cret'''",
        "i/**/dentified by 's3cret'",
        "i/*!*/dentified by 's3cret'",
        "iden-- \ntified by 's3cret'",
        "iden// \ntified by 's3cret'",
        "set @p='s3cret'",
        "set @`p`='s3cret'",
        "select @p := 's3cret'",
        "SET PASSWORD FOR u = 's3cret'",
        "alter user u identified by 's3cret",
        "select 1; set @p='s3cret'; select 2",
    ],
)
def test_a_secret_in_disguise(client: Client, statement: str) -> None:
    assert "s3cret" not in redacted(statement)
    code, text = client.refused(f"BACKUP {statement}")
    assert code == 1064 or "s3cret" not in text


def test_ordinary_statements_are_logged_as_they_are() -> None:
    statement = "CREATE TABLE t (id INT PRIMARY KEY, v CHAR(9) DEFAULT 'x', UNIQUE KEY u (v))"
    assert redacted(statement) == statement


def test_writers_come_in_order() -> None:
    gate = Gate()
    gate.enter("first", 1)
    done: list[int] = []

    def write(number: int) -> None:
        gate.enter(number, 10)
        done.append(number)
        gate.leave(number)

    def waiting(count: int) -> Callable[[], bool]:
        return lambda: len(gate._waiting) == count

    threads = []
    for number in range(8):
        threads.append(threading.Thread(target=write, args=(number,)))
        threads[-1].start()
        until(waiting(number + 1))
    with pytest.raises(SqlError):
        gate.enter("impatient", 0.01)
    gate.leave("first")
    for thread in threads:
        thread.join()
    assert done == list(range(8))
    gate.enter("last", 0)


def test_bytes_that_are_no_text(client: Client) -> None:
    connection = client.connection
    for command, body, code in ((3, b"select * from d.`\xff\xfe`", 1235), (2, b"nosuch\xff", 1049)):
        with pytest.raises(pymysql.Error) as caught:
            connection._execute_command(command, body)
            connection._read_query_result()
        assert caught.value.args[0] == code
    assert client("SELECT 1") == ((1,),)


@pytest.mark.parametrize(
    "statement",
    [
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE d.t",
        "SELECT * FROM d.t INTO OUTFILE '/tmp/never'",
        "SELECT load_file('/etc/passwd')",
        "SELECT load_extension('x')",
        "ATTACH DATABASE '/tmp/never' AS y",
        "PRAGMA database_list",
        "VACUUM INTO '/tmp/never'",
        "SELECT * FROM d.sqlite_master",
    ],
)
def test_no_files_from_sql(client: Client, statement: str) -> None:
    code, _ = client.refused(statement)
    assert code in (1064, 1235, 20105)


def test_history_can_be_bounded(version: str) -> None:
    with Emulator(version=version, keep_history=datetime.timedelta(hours=1)) as server:
        client = Client(
            pymysql.connect(
                host=server.host, port=server.port, user="dump", password="111", autocommit=True
            )
        )
        client("CREATE DATABASE d")
        client("CREATE TABLE d.t (v INT)")
        client("INSERT INTO d.t VALUES (0)")
        old = int(server.now().timestamp() * 1_000_000_000)
        client("UPDATE d.t SET v = -5")
        server.advance(datetime.timedelta(hours=2))
        for number in range(200):
            client(f"UPDATE d.t SET v = {number}")
        recent = int(server.now().timestamp() * 1_000_000_000)
        client("UPDATE d.t SET v = -1")
        assert client(f"SELECT v FROM d.t {{MO_TS = {recent}}}") == ((199,),)
        assert client.refused(f"SELECT v FROM d.t {{MO_TS = {old}}}")[0] in (1049, 1064)
        client.connection.close()


LIMITED = [
    "SELECT id, (SELECT v FROM d.u WHERE u.id = t.id ORDER BY v LIMIT 1) FROM d.t",
    "SELECT id FROM d.t WHERE EXISTS (SELECT 1 FROM d.u WHERE u.id = t.id LIMIT 1)",
    "SELECT id FROM d.t WHERE id IN (SELECT v FROM d.u WHERE u.id = t.id LIMIT 1)",
]
PAST_TARGETS = [
    "UPDATE d.t {MO_TS = 5} SET id = 1",
    "DELETE FROM d.t {MO_TS = 5}",
    "INSERT INTO d.t {MO_TS = 5} VALUES (1)",
]
FORWARD = "CREATE TABLE d.c (id INT, FOREIGN KEY (id) REFERENCES d.none (id))"


def test_what_servers_answer_in_ways_of_their_own_is_not_emulated(
    client: Client, version: str
) -> None:
    """It is refused with 1235, not answered as MySQL would (docs/server.md, SQL traps)."""
    client("CREATE TABLE d.u (id INT, v INT)")
    client("SET foreign_key_checks = 0")
    if version == "4.2.0":
        assert client.refused("SELECT id FROM d.t UNION SELECT NULL")[0] == 1235
    for statement in (*LIMITED, *PAST_TARGETS, FORWARD, "SELECT -'5'"):
        assert client.refused(statement)[0] == 1235, statement
