"""The embedded MatrixOne: a listener on loopback, and a thread for each client."""

from __future__ import annotations

import contextlib
import datetime
import random
import socket
import threading
import time
import zoneinfo
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TextIO
from urllib.parse import quote

from ..clock import Clock
from ..parsing.redact import redacted
from ..pitr.catalog import Catalog
from ..statements.administration import Administration
from ..statements.storage import Storage
from ..storage.collecting import Kept
from ..system.accounts import SYS_ID, Accounts
from ..system.variables import GlobalVariables
from ..versions.rules import RULES, rules_of
from .client import Client
from .state import Server
from .tables import add_tables

VERSIONS = tuple(RULES)
"""The versions whose rules it was compared with."""

_HOST = "127.0.0.1"
_STOP_SECONDS = 3.0
_MO_CATALOG_ID = 1


def _zone(zone: datetime.tzinfo | str) -> datetime.tzinfo:
    if not isinstance(zone, str):
        return zone
    return datetime.UTC if zone.upper() == "UTC" else zoneinfo.ZoneInfo(zone)


class Emulator:
    """A MatrixOne server for tests, in this process, on a loopback port.

    >>> import pymysql
    >>> with Emulator(version="3.0.9") as server:
    ...     where = {"host": server.host, "port": server.port}
    ...     connection = pymysql.connect(user="dump", password="111", **where)
    ...     connection.close()
    ...     server.url("aiomysql") == f"matrixone+aiomysql://dump:111@127.0.0.1:{server.port}/"
    True

    *timezone* is the zone of the server process, in which RESTORE reads its times; *log* gets
    each statement (a callable, or a stream to write lines to), never a password;
    *lock_timeout* is how long a session waits for another one, in seconds; *keep_history* is how
    far back the past can be read and restored, None (the default) for all of it: what is older is
    forgotten, which bounds the memory of a server that runs for long.
    """

    def __init__(
        self,
        version: str = "4.2.0",
        port: int = 0,
        *,
        timezone: datetime.tzinfo | str = datetime.UTC,
        log: Callable[[str], object] | TextIO | None = None,
        lock_timeout: float = 10.0,
        keep_history: datetime.timedelta | None = None,
    ) -> None:
        self._rules = rules_of(version)
        self.version = version
        self._asked_port = port
        self._zone = _zone(timezone)
        self._log = log
        self._lock_timeout = lock_timeout
        self._keep_history = keep_history
        self._lock = threading.Lock()
        self._clients: dict[int, Client] = {}
        self._next_id = 1
        self._stopping = False
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._server: Server | None = None

    # -- life --------------------------------------------------------------------------

    def start(self) -> Emulator:
        """Listen; the port is known afterwards."""
        if self._listener is not None:
            raise RuntimeError("the emulator is running already")
        self._stopping = False
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((_HOST, self._asked_port))
            listener.listen(128)
        except OSError:
            listener.close()
            raise
        self._listener = listener
        self._server = self._build()
        self._thread = threading.Thread(
            target=self._accept, args=(listener,), name="matrixone-emulator", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close every connection and wait for every thread; all data is gone afterwards."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        with self._lock:
            self._stopping = True
        # Wakes the accept of the listening thread, which close alone does not. Not every system
        # lets a listening socket be shut down.
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        if self._thread is not None:
            self._thread.join()
        self.kill_connections()
        server, self._server = self._server, None
        clients = self._open_clients()
        deadline = time.monotonic() + _STOP_SECONDS
        for client in clients:
            client.thread.join(max(0.0, deadline - time.monotonic()))

        def close() -> None:
            for client in clients:
                client.thread.join()
            if server is not None:
                server.storage.close()

        if any(client.thread.is_alive() for client in clients):
            # What neither sqlite nor a waiter can break off ends by itself, and the store then.
            threading.Thread(target=close, name="matrixone-emulator-end", daemon=True).start()
        else:
            close()

    def __enter__(self) -> Emulator:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    # -- addresses ---------------------------------------------------------------------

    @property
    def host(self) -> str:
        return _HOST

    @property
    def port(self) -> int:
        if self._listener is None:
            raise RuntimeError("the emulator is not running")
        return int(self._listener.getsockname()[1])

    def url(
        self,
        driver: str = "pymysql",
        user: str = "dump",
        password: str = "111",
        database: str | None = None,
    ) -> str:
        """A SQLAlchemy URL; a *driver* with a `+` in it is taken as the whole scheme."""
        scheme = driver if "+" in driver else f"matrixone+{driver}"
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"{scheme}://{who}@{self.host}:{self.port}/{quote(database or '', safe='')}"

    # -- for tests ---------------------------------------------------------------------

    def advance(self, by: datetime.timedelta) -> None:
        """Move the server's clock forward."""
        self._running().clock.advance(by)

    def collect_garbage(self, ttl: datetime.timedelta = datetime.timedelta(hours=1)) -> None:
        """Collect garbage at once, as the server does when it will: history that nothing keeps.

        Afterwards reads of a moment that is gone, CLONE and RESTORE of it answer OK with no rows.
        Policies keep what their ranges reach back to, snapshots their instant, and what is younger
        than *ttl* stays: the server's ``gc-ttl``, an hour by default. It takes all that a real
        server may take, also what a real one has happened to keep so far.

        >>> import datetime, time
        >>> import pymysql
        >>> with Emulator() as server:
        ...     where = {"host": server.host, "port": server.port, "autocommit": True}
        ...     connection = pymysql.connect(user="dump", password="111", **where)
        ...     cursor = connection.cursor()
        ...     for statement in (
        ...         "CREATE DATABASE shop",
        ...         "CREATE TABLE shop.orders (id INT PRIMARY KEY)",
        ...         "INSERT INTO shop.orders VALUES (1)",
        ...     ):
        ...         done = cursor.execute(statement)
        ...     moment = int(server.now().timestamp() * 1_000_000) * 1000
        ...     server.advance(datetime.timedelta(hours=2))
        ...     server.collect_garbage()
        ...     cursor.execute(f"SELECT id FROM shop.orders {{MO_TS = {moment}}}")
        0

        :raises ValueError: *ttl* is negative.
        """
        if ttl < datetime.timedelta():
            raise ValueError(f"what is still to come cannot be collected: ttl={ttl}")
        server = self._running()
        now = server.clock.now()
        kept = Kept(server.catalog.reaches(now), server.storage.snapshots.instants())
        nanoseconds = ttl // datetime.timedelta(microseconds=1) * 1_000
        server.storage.store.collector.collect(now - nanoseconds, kept)

    def now(self) -> datetime.datetime:
        """The server's time, in UTC."""
        micros = self._running().clock.now() // 1_000
        return datetime.datetime.fromtimestamp(0, datetime.UTC) + datetime.timedelta(
            microseconds=micros
        )

    def race(self, creators: int) -> AbstractContextManager[None]:
        """Within it, *creators* concurrent CREATE PITRs all pass their checks before any
        writes: the race of 3.0.9, made certain. Other versions are not changed by it.
        """
        return self._running().catalog.race(creators)

    def kill_connections(self) -> int:
        """Break every client's connection; how many there were."""
        clients = self._open_clients()
        for client in clients:
            client.hang_up()
        return len(clients)

    @property
    def connections(self) -> int:
        """Number of connected clients."""
        with self._lock:
            return len(self._clients)

    # -- parts -------------------------------------------------------------------------

    def _running(self) -> Server:
        if self._server is None:
            raise RuntimeError("the emulator is not running")
        return self._server

    def _open_clients(self) -> list[Client]:
        with self._lock:
            return list(self._clients.values())

    def _build(self) -> Server:
        clock = Clock(self._zone)
        storage = Storage(
            clock,
            rules=self._rules,
            lock_timeout=self._lock_timeout,
            keep_history=self._keep_history,
        )
        accounts = Accounts(clock)
        catalog = Catalog(clock, self._rules, _MO_CATALOG_ID)
        storage.on_commit.append(catalog.on_commit)

        def account_dropped(account_id: int, name: str) -> None:
            catalog.account_dropped(account_id, name)
            storage.snapshots.account_dropped(account_id)

        add_tables(storage, accounts, catalog, self._rules)
        return Server(
            self._rules,
            clock,
            storage,
            accounts,
            catalog,
            Administration(accounts, storage, account_dropped),
            GlobalVariables(self._rules, self.port, self._zone),
            self._lock_timeout,
            random.Random(1),
            self._kill,
        )

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                if self._stopping or self._server is None:
                    sock.close()
                    return
                client = Client(
                    sock, self._next_id, self._server, self._write_log, self._remove_client
                )
                self._clients[self._next_id] = client
                self._next_id += 1
                client.thread.start()

    def _remove_client(self, client: Client) -> None:
        with self._lock:
            self._clients.pop(client.connection_id, None)

    def _kill(self, connection_id: int, account_id: int) -> bool:
        """KILL of *account_id*, which knows the connections of its own account only."""
        with self._lock:
            client = self._clients.get(connection_id)
        if client is None or account_id not in (SYS_ID, client.account_id):
            return False
        client.hang_up()
        return True

    def _write_log(self, connection_id: int, statement: str) -> None:
        if self._log is None:
            return
        line = f"{connection_id} {redacted(statement)}"
        line = line.encode("utf-8", "backslashreplace").decode()
        if callable(self._log):
            self._log(line)
        else:
            self._log.write(line + "\n")
