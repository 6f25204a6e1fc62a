"""A TCP proxy that sees the statements of a MySQL conversation, and can cut it at any of them.

It shows what really goes over the wire, in which order, on the emulator and on a real server alike.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from typing import Generic, Literal, TypeVar

COM_QUIT, COM_QUERY, COM_PING, COM_RESET = 1, 3, 14, 31

_ANSWERED_WITHIN = 10.0
"""Seconds that a server has for a statement whose answer is kept back"""

When = Literal["before", "after"]

_Does = TypeVar("_Does")


def pattern_of(statement: str) -> str:
    """A pattern for a statement, whatever its numbers: moments and records are others each time."""
    return "^" + re.sub(r"\d+", r"\\d+", re.escape(statement)) + "$"


class _Armed(Generic[_Does]):
    """An act at a statement, once: the first that matches, or the one with a number."""

    def __init__(self, pattern: str, does: _Does, number: int) -> None:
        self._pattern = re.compile(pattern, re.IGNORECASE)
        self.does = does
        self._left = number

    def is_for(self, statement: str) -> bool:
        self._left -= self._pattern.search(statement) is not None
        return self._left <= 0


class Proxy:
    """Listens on loopback and forwards to a server; ``statements`` is what clients sent."""

    def __init__(self, host: str, port: int) -> None:
        self._server = host, port
        self.statements: list[str] = []
        self.by_connection: list[list[str]] = []
        self._cut: _Armed[When] | None = None
        self._hook: _Armed[Callable[[], object]] | None = None
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, pattern: str, when: When, number: int = 1) -> None:
        """Cut the connection at the next statement that matches, or at a later one of them.

        ``before``: it never reaches the server; ``after``: it does, its answer does not come back.
        """
        self._cut = _Armed(pattern, when, number)

    def on(self, pattern: str, hook: Callable[[], object], number: int = 1) -> None:
        """Call something once, when a statement that matches arrives and before it goes on.

        The hook may call ``cut`` and ``on`` for what comes after that statement.
        """
        self._hook = _Armed(pattern, hook, number)

    def clear(self) -> None:
        """Forget the statements so far."""
        self.statements.clear()
        self.by_connection.clear()

    def matching(self, pattern: str) -> list[str]:
        """The statements so far that match, in order."""
        return [s for s in self.statements if re.search(pattern, s, re.IGNORECASE)]

    def close(self) -> None:
        _close(self._listener)
        for open_socket in list(self._sockets):
            _close(open_socket)

    def refuse(self) -> None:
        """Take no new connections; the open ones go on."""
        _close(self._listener)

    def kill(self) -> None:
        """Cut every open connection; new ones are taken."""
        for open_socket in list(self._sockets):
            _close(open_socket)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._server)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets.add(one)
            log: list[str] = []
            self.by_connection.append(log)
            # Whether answers are kept back, and whether one has been.
            mute, kept = threading.Event(), threading.Event()
            up = client, server, log, mute, kept
            threading.Thread(target=self._up, args=up, daemon=True).start()
            down = server, client, mute, kept
            threading.Thread(target=self._down, args=down, daemon=True).start()

    def _up(
        self,
        client: socket.socket,
        server: socket.socket,
        log: list[str],
        mute: threading.Event,
        kept: threading.Event,
    ) -> None:
        try:
            while True:
                header = _read(client, 4)
                payload = _read(client, int.from_bytes(header[:3], "little"))
                cut: When | None = None
                if header[3] == 0 and payload[:1] == bytes([COM_QUERY]):
                    statement = payload[1:].decode("utf-8", "replace")
                    with self._lock:
                        self.statements.append(statement)
                        log.append(statement)
                        cut = self._take_cut(statement)
                        hook = self._take_hook(statement)
                    if hook is not None:
                        hook()
                if cut == "before":
                    return
                if cut == "after":
                    mute.set()
                server.sendall(header + payload)
                if cut == "after":
                    kept.wait(_ANSWERED_WITHIN)  # the server does it; nobody hears of it
                    return
        except (OSError, EOFError):
            pass
        finally:
            _close(client)
            _close(server)

    def _take_cut(self, statement: str) -> When | None:
        if self._cut is None or not self._cut.is_for(statement):
            return None
        when, self._cut = self._cut.does, None
        return when

    def _take_hook(self, statement: str) -> Callable[[], object] | None:
        if self._hook is None or not self._hook.is_for(statement):
            return None
        hook, self._hook = self._hook.does, None
        return hook

    def _down(
        self,
        server: socket.socket,
        client: socket.socket,
        mute: threading.Event,
        kept: threading.Event,
    ) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if mute.is_set():
                    kept.set()
                    continue
                client.sendall(data)
        kept.set()
        _close(client)
        _close(server)


def _read(source: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = source.recv(length - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def _close(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
