"""Fixtures: a server (the emulator, or a real one by MATRIXONE_URL), databases, engines.

EMULATED_VERSIONS="3.0.18 main" has the tests run on these instead of the usual two;
``--all-combinations`` has each test run on every version with every dialect and driver, and
``--hypothesis-profile=thorough`` tries many more examples.

Every test that needs a server runs on whichever there is; what a test makes is named after it and
dropped when it ends, PITRs included.
"""

from __future__ import annotations

import gc
import logging
import os
import secrets
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pymysql
import pytest
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from tests.clock import may_advance
from tests.combinations import ASYNC_SCHEMES, SYNC_SCHEMES, more_than_once, superfluous
from tests.imports import modules_from
from tests.interrupts import Interrupt
from tests.proxy import Proxy
from tests.scheduling import ByModule

if TYPE_CHECKING:
    from matrixone_emulator import Emulator

ROOT = Path(__file__).parents[1]
LIVE = os.environ.get("MATRIXONE_URL")
EMULATED_VERSIONS = os.environ.get("EMULATED_VERSIONS", "3.0.9 4.2.0").split()
NEWEST = (999, 0, 0)
"""The version of a server that names none: one built from the main branch"""


@dataclass(frozen=True)
class Server:
    """The address of the server, its administrator, and its version."""

    host: str
    port: int
    user: str
    password: str
    version: tuple[int, ...]
    live: bool
    emulator: Emulator | None = None
    """The emulator itself, for what no statement does"""

    def url(
        self,
        scheme: str = "matrixone+pymysql",
        database: str | None = None,
        *,
        port: int | None = None,
        user: str | None = None,
        password: str | None = None,
    ) -> URL:
        return URL.create(
            scheme,
            user or self.user,
            password or self.password,
            self.host,
            port or self.port,
            database,
        )

    def connect(self, database: str | None = None) -> pymysql.Connection:
        """A plain PyMySQL connection in real autocommit, for what is checked from beside."""
        return pymysql.connect(
            host=self.host,
            port=self.port,
            user=self.user,
            password=self.password,
            database=database,
            autocommit=True,
        )

    def query(self, statement: str, database: str | None = None) -> list[tuple[object, ...]]:
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all-combinations",
        action="store_true",
        help="run each test on every server version with every dialect and driver",
    )
    parser.addoption("--once", action="store_true", help="run each test function once")
    parser.addoption(
        "--turn", type=int, default=0, help="another number means another combination for each test"
    )


@pytest.hookimpl(trylast=True)  # after -k and -m, which choose among all combinations
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if any("[" in argument for argument in config.args):
        left_out = set()
    elif config.getoption("once"):
        left_out = set(more_than_once(items, config.getoption("turn")))
    elif config.getoption("all_combinations"):
        left_out = set()
    else:
        left_out = set(superfluous(items, config.getoption("turn")))
    config.hook.pytest_deselected(items=[item for item in items if item in left_out])
    items[:] = [item for item in items if item not in left_out]
    if hasattr(config, "workerinput"):
        # The longest first, so that no worker ends the run with one while the others are idle.
        # xdist hands out whole modules in the order of their first test.
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    if LIVE:
        skip = pytest.mark.skip(reason="of the emulator's own interface; a real server is used")
        for item in items:
            if item.get_closest_marker("emulator_only"):
                item.add_marker(skip)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    config.option.loadscopereorder = False  # the slow ones stay first
    return ByModule(config, log)


# On a busy machine an example takes as long as it takes.
hypothesis.settings.register_profile("ordinary", deadline=None)
hypothesis.settings.register_profile("thorough", max_examples=1000, deadline=None)
hypothesis.settings.load_profile("ordinary")


def pytest_configure() -> None:
    """Let the tests' processes be interrupted where the tests were started with SIGINT ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Spare each later garbage collection what the whole run keeps, and have fewer of them."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """An interrupt that a test has sent itself and not caught is its failure, not the run's end."""
    try:
        return (yield)
    except KeyboardInterrupt:
        interrupt = pyfuncitem.funcargs.get("interrupt")
        if not isinstance(interrupt, Interrupt) or interrupt.by_hand:
            raise
        pytest.fail("the interrupt was not caught")


@pytest.fixture
def interrupt(request: pytest.FixtureRequest) -> Iterator[Interrupt]:
    """Ctrl-C, for the test alone: ``interrupt()`` in any thread."""
    with Interrupt(request.function.__code__) as interrupt:
        yield interrupt


@pytest.fixture(scope="session", autouse=True)
def one_tls_context() -> Iterator[None]:
    """Share the TLS context that PyMySQL makes for every connection by reading all certificates."""
    make = pymysql.connections.Connection._create_ssl_ctx
    shared: list[Any] = []

    def create(connection: pymysql.connections.Connection, options: Any) -> Any:
        if options:
            return make(connection, options)
        if not shared:
            shared.append(make(connection, options))
        return shared[0]

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(pymysql.connections.Connection, "_create_ssl_ctx", create)
        yield


@pytest.fixture(autouse=True)
def process_as_found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fail the test that leaves something in this process for later tests to trip over."""
    modules, before = set(sys.modules), _process_state()
    yield
    folders = tmp_path_factory.getbasetemp(), ROOT / "examples"
    assert modules_from(*folders, but_not=modules) == [], "forgetting_imports() would forget them"
    after = _process_state()
    assert [what for what in before if before[what] != after[what]] == []


def _process_state() -> dict[str, object]:
    environment = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
    return {
        "folder": os.getcwd(),
        "environment": environment,
        "sys.path": list(sys.path),
        "sys.argv": list(sys.argv),
        "sys.stdout": sys.stdout,
        "sys.stderr": sys.stderr,
        "SIGINT": signal.getsignal(signal.SIGINT),
        "log handlers": list(logging.root.handlers),
        "log level": logging.root.level,
        "disabled loggers": {
            name
            for name, logger in list(logging.root.manager.loggerDict.items())
            if isinstance(logger, logging.Logger) and logger.disabled
        },
    }


@pytest.fixture(scope="module", params=["live"] if LIVE else EMULATED_VERSIONS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The server of the tests: each emulated version, or the real one.

    An emulator starts in milliseconds, and keeps the history of all that it is told: with one for
    each module its connections open several times as fast as with one for the whole run.
    """
    if LIVE:
        url = make_url(LIVE)
        found = Server(
            url.host or "127.0.0.1",
            url.port or 6001,
            url.username or "dump",
            str(url.password or ""),
            (),
            True,
        )
        text = str(found.query("SELECT version()")[0][0]).rpartition("v")[2]
        yield Server(found.host, found.port, found.user, found.password, numbers(text), True)
        return
    from sqlalchemy_matrixone_pitr.emulator import Emulator

    version_text: str = request.param
    # On a busy machine a lock may be had late; nothing here waits for the server to give up.
    with Emulator(version=version_text, lock_timeout=60.0) as emulator:
        where = (emulator.host, emulator.port, "dump", "111")
        with may_advance(emulator):
            yield Server(*where, numbers(version_text), live=False, emulator=emulator)


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit()) or NEWEST


@pytest.fixture
def prefix() -> str:
    """The beginning of the names of this test's PITRs: names are per account, not per database."""
    return f"pt{secrets.token_hex(4)}"


Say = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture(scope="module")
def say_beside(server: Server) -> Iterator[Say]:
    """Send a statement on the fixtures' own connection, since opening one takes longest."""
    connection = server.connect()

    def say(statement: str) -> list[tuple[object, ...]]:
        nonlocal connection
        try:
            cursor = connection.cursor()
            cursor.execute(statement)
        except (pymysql.OperationalError, pymysql.InterfaceError):  # a test has killed it
            connection = server.connect()
            cursor = connection.cursor()
            cursor.execute(statement)
        return list(cursor.fetchall())

    yield say
    connection.close()


@pytest.fixture
def database(say_beside: Say, prefix: str) -> Iterator[str]:
    """A database of the test's own, dropped afterwards with every PITR of the test's prefix.

    Names that a convention makes have the database's name in them, which is the prefix.
    """
    say_beside(f"CREATE DATABASE {prefix}")
    yield prefix
    say_beside(f"DROP DATABASE IF EXISTS {prefix}")
    for row in say_beside("SHOW PITR"):
        if prefix in str(row[0]):
            name = str(row[0]).replace("\\", "\\\\")  # an escape, in back-quotes too
            say_beside(f"DROP PITR IF EXISTS `{name}`")


@pytest.fixture
def pitr_names(say_beside: Say, prefix: str) -> Callable[[], list[str]]:
    """List this test's PITRs as the server does, sorted, seen from a plain connection."""

    def names() -> list[str]:
        return sorted(str(r[0]) for r in say_beside("SHOW PITR") if str(r[0]).startswith(prefix))

    return names


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """A proxy before the server."""
    running = Proxy(server.host, server.port)
    yield running
    running.close()


@pytest.fixture(params=SYNC_SCHEMES)
def engine(request: pytest.FixtureRequest, server: Server, database: str) -> Iterator[Engine]:
    """An engine of our dialect and one of SQLAlchemy's own."""
    made = create_engine(server.url(request.param, database))
    yield made
    made.dispose()


@pytest.fixture
def matrixone_engine(server: Server, database: str) -> Iterator[Engine]:
    """An engine of our dialect, where the other adds nothing."""
    made = create_engine(server.url("matrixone+pymysql", database))
    yield made
    made.dispose()


@pytest.fixture
def proxied_engine(server: Server, database: str, proxy: Proxy) -> Iterator[Engine]:
    """An engine of our dialect through the proxy."""
    made = create_engine(server.url("matrixone+pymysql", database, port=proxy.port))
    with made.connect():
        pass  # the dialect's first questions are no part of what tests look at
    proxy.clear()
    yield made
    made.dispose()


@pytest.fixture(params=ASYNC_SCHEMES)
def make_async_engine(
    request: pytest.FixtureRequest, server: Server, database: str
) -> Callable[..., AsyncEngine]:
    """Makes an async engine inside the test's event loop; the test disposes of it."""

    def make(port: int | None = None, **arguments: object) -> AsyncEngine:
        url = server.url(request.param, database, port=port)
        return create_async_engine(url, **arguments)

    return make
