"""One emulator a version and test, and PyMySQL connections to it that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pymysql
import pytest

from matrixone_emulator import Emulator


class Client:
    """A PyMySQL connection whose call sends one statement.

    The answer is the rows; a refusal is raised as PyMySQL raises it.
    """

    def __init__(self, connection: pymysql.connections.Connection[Any]) -> None:
        self.connection = connection
        self.labels: list[str] = []

    def __call__(self, statement: str) -> tuple[tuple[Any, ...], ...]:
        with self.connection.cursor() as cursor:
            cursor.execute(statement)
            self.labels = [column[0] for column in cursor.description or ()]
            return tuple(cursor.fetchall())

    def refused(self, statement: str) -> tuple[int, str]:
        """Code and text of the refusal."""
        with pytest.raises(pymysql.Error) as caught:
            self(statement)
        code, text = caught.value.args
        return code, text

    @property
    def status(self) -> int:
        """The transaction and autocommit bits of the last OK packet."""
        status: int = self.connection.server_status
        return status & 3


Connect = Callable[..., Client]


@pytest.fixture(params=["3.0.9", "4.2.0"])
def version(request: pytest.FixtureRequest) -> str:
    value: str = request.param
    return value


@pytest.fixture
def server(version: str) -> Iterator[Emulator]:
    with Emulator(version=version, lock_timeout=2.0) as emulator:
        yield emulator


@pytest.fixture
def connect(server: Emulator) -> Iterator[Connect]:
    with ExitStack() as stack:

        def open_client(**options: Any) -> Client:
            settings = {
                "user": "dump",
                "password": "111",
                "autocommit": True,
                # Making a TLS context takes longer than all the rest of a connect.
                "ssl_disabled": True,
                **options,
            }
            connection = pymysql.connect(host=server.host, port=server.port, **settings)
            stack.callback(_close, connection)
            return Client(connection)

        yield open_client


def _close(connection: pymysql.connections.Connection[Any]) -> None:
    # Tests may have broken the connection on purpose.
    if connection.open:
        connection._force_close()


@pytest.fixture
def client(connect: Connect) -> Client:
    return connect()
