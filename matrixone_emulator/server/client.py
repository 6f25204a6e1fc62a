"""The connection of one client, from the greeting to its end."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading
from collections.abc import Callable

from ..errors import SqlError
from ..parsing.redact import redacted, unsupported
from ..types.values import raw_bytes
from ..wire import packets
from ..wire.channel import Channel, ConnectionLost
from ..wire.constants import Capability, Command, Status
from ..wire.passwords import NATIVE_PASSWORD, new_salt
from ..wire.values import text
from .session import Outcome, Session
from .state import Server

_LOG = logging.getLogger(__name__)
_PACKET_LIMIT = 256 * 1024 * 1024
# A client that has not logged in may send only little, and must do so soon.
_LOGIN_LIMIT = 1 << 16
_LOGIN_SECONDS = 10.0


class Client:
    """One connection and its thread."""

    def __init__(
        self,
        sock: socket.socket,
        connection_id: int,
        server: Server,
        log: Callable[[int, str], None],
        on_close: Callable[[Client], None],
    ) -> None:
        self.connection_id = connection_id
        self._sock = sock
        self._server = server
        self._log = log
        self._on_close = on_close
        self._session: Session | None = None
        self._left = False
        self._capabilities = Capability(0)
        self._salt = new_salt()
        self.thread = threading.Thread(
            target=self._run, name=f"matrixone-emulator-{connection_id}", daemon=True
        )

    @property
    def account_id(self) -> int | None:
        """None before login."""
        return None if self._session is None else self._session.account_id

    def hang_up(self) -> None:
        """Break the connection; the client's thread then ends by itself."""
        self._left = True
        # First, so that no answer is sent that says more. The client may have been faster.
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        session = self._session
        if session is not None:
            session.interrupt()

    def _gone(self) -> bool:
        """Whether the client has closed its end while its statement waits."""
        if self._left:
            return True
        try:
            readable, _, _ = select.select([self._sock], [], [], 0)
            return bool(readable) and not self._sock.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def _run(self) -> None:
        channel = Channel(self._sock, limit=_LOGIN_LIMIT)
        try:
            self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sock.settimeout(_LOGIN_SECONDS)
            if self._login(channel):
                self._sock.settimeout(None)
                channel.limit = _PACKET_LIMIT
                while self._command(channel):
                    pass
        except (ConnectionLost, OSError):
            # Whatever the client did, only its own connection ends.
            pass
        finally:
            if self._session is not None:
                self._session.close()
            channel.close()
            self._sock.close()
            self._on_close(self)

    # -- login -------------------------------------------------------------------------

    def _login(self, channel: Channel) -> bool:
        channel.write(
            packets.greeting(self._server.rules.version_text, self.connection_id, self._salt)
        )
        channel.flush()
        login = packets.parse_login(channel.read(fresh=False))
        self._capabilities = login.capabilities
        return self._admit(channel, login)

    def _admit(self, channel: Channel, login: packets.Login) -> bool:
        answer = login.auth
        if login.plugin not in ("", NATIVE_PASSWORD):
            channel.write(packets.auth_switch(self._salt))
            channel.flush()
            answer = channel.read(fresh=False)
        try:
            identity = self._server.accounts.login(login.user, self._salt, answer)
            session = Session(self._server, identity, self.connection_id)
            session.watch(self._gone)
            session.found_rows = bool(self._capabilities & Capability.FOUND_ROWS)
            old, self._session = self._session, session
            if old is not None:
                old.close()
            if login.database:
                session.connect_to(login.database)
        except SqlError as error:
            channel.write(packets.err(error))
            channel.flush()
            return False
        # The server's greeting says autocommit, this packet does not.
        channel.write(packets.ok(0, 0, Status.ENDED))
        channel.flush()
        return True

    # -- commands ----------------------------------------------------------------------

    def _command(self, channel: Channel) -> bool:
        packet = channel.read(fresh=True)
        if not packet:
            return False
        session = self._session
        assert session is not None
        command, body = packet[0], packet[1:]
        if command == Command.QUIT:
            return False
        try:
            self._answer(channel, session, command, body)
        except SqlError as error:
            channel.write(packets.err(error))
        except UnicodeEncodeError:
            # The server takes any bytes, sqlite only texts.
            channel.write(packets.err(unsupported("a text that is not UTF-8")))
        except RecursionError:
            channel.write(packets.err(unsupported(text(body))))
        except ConnectionLost:
            raise
        except Exception as error:  # noqa: BLE001 - any fault of the emulator itself
            # The client hears of it instead of losing its connection, and the trace goes to the
            # log.
            _LOG.exception("the emulator failed on: %s", redacted(text(body)))
            fault = f"MatrixOne emulator failed: {type(error).__name__}: {error}"
            channel.write(packets.err(SqlError(1105, fault)))
        channel.flush()
        return True

    def _answer(self, channel: Channel, session: Session, command: int, body: bytes) -> None:
        match command:
            case Command.QUERY:
                statement = text(body)
                self._log(self.connection_id, statement)
                for outcome in session.execute(statement):
                    self._send(channel, outcome)
            case Command.PING:
                channel.write(packets.ok(0, 0, session.status | Status.ENDED))
            case Command.INIT_DB:
                name = text(body)
                if raw_bytes(name) is not None:
                    raise SqlError(1049, f"Unknown database {name}")
                self._send(channel, session.use(name))
            case Command.STMT_PREPARE:
                raise unsupported(f"prepared statement: {text(body)}")
            case Command.STMT_CLOSE:
                # The protocol knows no answer to it.
                pass
            case _:
                raise SqlError.internal(f"unsupported command. 0x{command:x}")

    def _send(self, channel: Channel, outcome: Outcome) -> None:
        result = outcome.result
        if not outcome.columns:
            channel.write(packets.ok(result.affected, result.last_insert_id, outcome.end_status))
            return
        # All are made before the first is sent: a fault in one would leave half a result.
        made = list(
            packets.result_set(
                outcome.columns,
                result.rows,
                outcome.status,
                outcome.end_status,
                deprecate_eof=bool(self._capabilities & Capability.DEPRECATE_EOF),
            )
        )
        for packet in made:
            channel.write(packet)
