"""The protocol: logins, packets of any size, what broken clients do, starting and stopping."""

from __future__ import annotations

import random
import socket
import threading
from typing import Any

import pymysql
import pytest

from matrixone_emulator import Emulator
from tests.clock import until

from .conftest import Client, Connect


@pytest.fixture
def version() -> str:
    return "4.2.0"


def test_greeting_names_the_version(client: Client) -> None:
    assert client.connection.get_server_info() == "8.0.30-MatrixOne-v4.2.0"


@pytest.mark.parametrize(
    "user", ["dump", "root", "sys:dump", "sys#dump", "sys:dump:moadmin", "sys%3Adump"]
)
def test_spellings_of_a_login(connect: Connect, user: str) -> None:
    assert connect(user=user)("SELECT 1") == ((1,),)


@pytest.mark.parametrize(
    ("user", "password", "code", "text"),
    [
        ("dump", "bad", 1045, "Access denied for user dump. internal error: check password failed"),
        ("dump", "", 1045, "Access denied for user dump. internal error: check password failed"),
        ("nobody", "111", 20101, "internal error: there is no user nobody"),
        ("nope:dump", "111", 20101, "internal error: there is no tenant nope"),
        ("sys:dump:nope", "111", 20101, "internal error: there is no role nope"),
        (":x", "1", 20101, "internal error: invalid tenant name ''"),
        ("sys:", "1", 20101, "internal error: invalid user name ''"),
    ],
)
def test_refused_logins(connect: Connect, user: str, password: str, code: int, text: str) -> None:
    with pytest.raises(pymysql.Error) as caught:
        connect(user=user, password=password)
    assert caught.value.args == (code, text)


def test_unknown_database_at_login(connect: Connect) -> None:
    with pytest.raises(pymysql.Error) as caught:
        connect(database="nope")
    assert caught.value.args == (1049, "Unknown database nope")


def test_another_plugin_is_switched(server: Emulator) -> None:
    with _Raw(server) as raw:
        salt_packet = raw.read()
        assert salt_packet[0] == 10
        raw.write(_login("dump", b"x" * 32, plugin="caching_sha2_password"), 1)
        switch = raw.read()
        assert switch.startswith(b"\xfemysql_native_password\0")


def test_statement_and_value_over_16_megabytes(client: Client) -> None:
    size = (1 << 24) + 100
    client.connection.max_allowed_packet = 1 << 26
    assert client(f"/* {'x' * size} */ SELECT 1") == ((1,),)
    assert len(client(f"SELECT REPEAT('x', {size})")[0][0]) == size


def test_ping_and_init_db(client: Client) -> None:
    client.connection.ping(reconnect=False)
    client.connection.select_db("mysql")
    with pytest.raises(pymysql.Error, match="Unknown database nope"):
        client.connection.select_db("nope")


@pytest.mark.parametrize("command", [0x09, 0x11, 0x1F, 0x99])
def test_commands_that_the_server_does_not_know(client: Client, command: int) -> None:
    client.connection._execute_command(command, b"")
    with pytest.raises(pymysql.Error) as caught:
        client.connection._read_packet()
    assert caught.value.args == (20101, f"internal error: unsupported command. 0x{command:x}")


def test_prepared_statements_are_refused(client: Client) -> None:
    client.connection._execute_command(0x16, "SELECT 1")
    with pytest.raises(pymysql.Error, match="does not support: prepared statement"):
        client.connection._read_packet()
    assert client.refused("PREPARE s FROM 'SELECT 1'")[0] == 1235


def test_several_statements_in_one_text(client: Client) -> None:
    with client.connection.cursor() as cursor:
        cursor.execute("SELECT 1; SELECT 2 ; -- the end")
        assert cursor.fetchall() == ((1,),)
        assert cursor.nextset()
        assert cursor.fetchall() == ((2,),)
        assert not cursor.nextset()


def test_nothing_runs_where_a_later_statement_is_broken(client: Client) -> None:
    code, text = client.refused("CREATE PITR p RANGE 1 'd'; CREATE PITR q RANGE x 'd'")
    assert code == 1064
    assert text.endswith("""line 1 column 48 near " x 'd'";""")
    assert client("SHOW PITR") == ()


@pytest.mark.parametrize("statement", ["", ";", " ; ; ", "-- a comment", "/* nothing */"])
def test_empty_statements_are_ok(client: Client, statement: str) -> None:
    client.connection.query(statement)


def test_kill_ends_the_other_connection_only(connect: Connect, client: Client) -> None:
    other = connect()
    other("SELECT 1")
    assert client.refused("KILL 99999") == (20101, "internal error: Unknown connection id 99999")
    client(f"KILL {other.connection.thread_id()}")
    with pytest.raises(pymysql.Error):
        other("SELECT 1")
    assert client("SELECT 1") == ((1,),)


def test_log_has_statements_and_no_passwords() -> None:
    lines: list[str] = []
    with Emulator(log=lines.append) as server:
        connection = pymysql.connect(
            host=server.host, port=server.port, user="dump", password="111", autocommit=True
        )
        with connection.cursor() as cursor:
            cursor.execute("CREATE ACCOUNT a ADMIN_NAME 'adm' IDENTIFIED BY 'geheim'")
            with pytest.raises(pymysql.Error):
                cursor.execute("ALTER USER adm IDENTIFIED BY 'geheim")
        connection.close()
    assert any("CREATE ACCOUNT" in line for line in lines)
    assert not any("geheim" in line for line in lines)


def test_sixty_four_clients(server: Emulator, connect: Connect) -> None:
    clients = [connect() for _ in range(64)]
    answers: list[Any] = []

    def work(one: Client) -> None:
        answers.extend(one("SELECT 1") for _ in range(20))

    threads = [threading.Thread(target=work, args=(one,)) for one in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [((1,),)] * (64 * 20)
    assert server.connections == 64


def test_stop_joins_every_thread_and_frees_the_port() -> None:
    before = set(threading.enumerate())
    server = Emulator().start()
    port = server.port
    idle = [
        pymysql.connect(host=server.host, port=port, user="dump", password="111") for _ in range(5)
    ]
    server.stop()
    assert set(threading.enumerate()) == before
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port))
    for connection in idle:
        connection._force_close()
    with Emulator(port=port) as again:
        assert again.port == port


def test_url_quotes_and_takes_whole_schemes() -> None:
    with Emulator() as server:
        port = server.port
        assert server.url() == f"matrixone+pymysql://dump:111@127.0.0.1:{port}/"
        assert (
            server.url("mysql+aiomysql", "a:u", "p/w@", "db")
            == f"mysql+aiomysql://a%3Au:p%2Fw%40@127.0.0.1:{port}/db"
        )


@pytest.mark.parametrize("version", ["2.0.3", "4", "", "x.y.z", "9.9.9", "4.2.1"])
def test_versions_that_are_refused(version: str) -> None:
    with pytest.raises(ValueError, match="give one of these"):
        Emulator(version=version)


def test_broken_clients_end_only_their_own_connection(server: Emulator, client: Client) -> None:
    """Cut, malformed and random packets at every point of the conversation."""
    dice = random.Random(7)
    good = _login("dump", b"")
    for number in range(150):
        with _Raw(server) as raw:
            raw.read()
            match number % 5:
                case 0:
                    raw.send(dice.randbytes(dice.randrange(0, 60)))
                case 1:
                    raw.write(good[: dice.randrange(0, len(good))], 1)
                case 2:
                    raw.write(dice.randbytes(dice.randrange(0, 200)), 1)
                case 3:
                    raw.send(b"\xff\xff\xff\x01" + b"x" * 100)
                case 4:
                    raw.write(good, 9)
    assert client("SELECT 1") == ((1,),)
    until(lambda: server.connections == 1)


def test_random_commands_after_login(server: Emulator, client: Client, connect: Connect) -> None:
    dice = random.Random(11)
    for _ in range(100):
        other = connect()
        other.connection._sock.settimeout(5)
        body = dice.randbytes(dice.randrange(1, 80))
        if body[:1] == b"\x01":
            continue
        other.connection._sock.sendall(len(body).to_bytes(3, "little") + b"\0" + body)
        if body[:1] != b"\x19":
            assert other.connection._sock.recv(1)
        other.connection._force_close()
    assert client("SELECT 1") == ((1,),)


class _Raw:
    """A socket that speaks only what a test says."""

    def __init__(self, server: Emulator) -> None:
        self._sock = socket.create_connection((server.host, server.port), timeout=5)

    def __enter__(self) -> _Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self._sock.close()

    def read(self) -> bytes:
        header = self._sock.recv(4, socket.MSG_WAITALL)
        return self._sock.recv(int.from_bytes(header[:3], "little"), socket.MSG_WAITALL)

    def write(self, body: bytes, sequence: int) -> None:
        self.send(len(body).to_bytes(3, "little") + bytes((sequence,)) + body)

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)


def _login(user: str, answer: bytes, plugin: str = "mysql_native_password") -> bytes:
    capabilities = 1 << 9 | 1 << 15 | 1 << 19
    return (
        capabilities.to_bytes(4, "little")
        + bytes(4)
        + b"\x2d"
        + bytes(23)
        + user.encode()
        + b"\0"
        + bytes((len(answer),))
        + answer
        + plugin.encode()
        + b"\0"
    )
