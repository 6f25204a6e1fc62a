"""The MySQL client/server protocol, as far as a text-protocol server needs it.

Packets are read and written through one small buffered channel; everything above it is bytes
in, bytes out. Numbers and names are those of the protocol's own documentation.
"""

from __future__ import annotations

import datetime
import hashlib
import secrets
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from ..errors import SqlError
from ..types.columns import Column, ColumnType

CLIENT_LONG_PASSWORD = 1
CLIENT_FOUND_ROWS = 1 << 1
CLIENT_LONG_FLAG = 1 << 2
CLIENT_CONNECT_WITH_DB = 1 << 3
CLIENT_PROTOCOL_41 = 1 << 9
CLIENT_INTERACTIVE = 1 << 10
CLIENT_TRANSACTIONS = 1 << 13
CLIENT_SECURE_CONNECTION = 1 << 15
CLIENT_MULTI_STATEMENTS = 1 << 16
CLIENT_MULTI_RESULTS = 1 << 17
CLIENT_PLUGIN_AUTH = 1 << 19
CLIENT_CONNECT_ATTRS = 1 << 20
CLIENT_PLUGIN_AUTH_LENENC = 1 << 21
CLIENT_DEPRECATE_EOF = 1 << 24

CAPABILITIES = (
    CLIENT_LONG_PASSWORD
    | CLIENT_FOUND_ROWS
    | CLIENT_LONG_FLAG
    | CLIENT_CONNECT_WITH_DB
    | CLIENT_PROTOCOL_41
    | CLIENT_INTERACTIVE
    | CLIENT_TRANSACTIONS
    | CLIENT_SECURE_CONNECTION
    | CLIENT_MULTI_STATEMENTS
    | CLIENT_MULTI_RESULTS
    | CLIENT_PLUGIN_AUTH
    | CLIENT_CONNECT_ATTRS
    | CLIENT_PLUGIN_AUTH_LENENC
    | CLIENT_DEPRECATE_EOF
)

STATUS_IN_TRANS = 0x0001
STATUS_AUTOCOMMIT = 0x0002
STATUS_MORE_RESULTS = 0x0008
# Two bits that the server sets in every packet that ends an answer, to mark it as such.
STATUS_ENDED = 0x0810

COM_QUIT = 0x01
COM_INIT_DB = 0x02
COM_QUERY = 0x03
COM_PING = 0x0E
COM_STMT_PREPARE = 0x16
COM_STMT_CLOSE = 0x19

NATIVE_PASSWORD = "mysql_native_password"

_MAX_CHUNK = 0xFFFFFF
_WHOLE = (ColumnType.TINY, ColumnType.SHORT, ColumnType.LONG, ColumnType.LONGLONG)


class ConnectionLost(Exception):
    """The client went away, or sent what is no packet of this protocol."""


class Channel:
    """Packets over one socket: buffered reading, one send per reply.

    *limit* bounds the memory one client can take with a single packet.
    """

    def __init__(self, sock: socket.socket, *, limit: int) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb", buffering=65536)
        self._out = bytearray()
        self._sequence = 0
        self.limit = limit

    def read(self, *, fresh: bool) -> bytes:
        """The next packet; *fresh* starts a new command, whose sequence begins at 0."""
        if fresh:
            self._sequence = 0
        parts: list[bytes] = []
        total = 0
        while True:
            header = self._exactly(4)
            length = int.from_bytes(header[:3], "little")
            if header[3] != self._sequence & 0xFF:
                raise ConnectionLost(f"packet {header[3]} out of order")
            self._sequence += 1
            total += length
            if total > self.limit:
                raise ConnectionLost(f"packet larger than {self.limit} bytes")
            parts.append(self._exactly(length))
            if length < _MAX_CHUNK:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, payload: bytes) -> None:
        """Queue one packet; `flush` sends."""
        start = 0
        while True:
            chunk = payload[start : start + _MAX_CHUNK]
            self._out += len(chunk).to_bytes(3, "little")
            self._out.append(self._sequence & 0xFF)
            self._sequence += 1
            self._out += chunk
            start += _MAX_CHUNK
            if len(chunk) < _MAX_CHUNK:
                break
        if len(self._out) > 1 << 20:
            self.flush()

    def flush(self) -> None:
        if self._out:
            data, self._out = self._out, bytearray()
            try:
                self._sock.sendall(data)
            except OSError as error:
                raise ConnectionLost(str(error)) from error

    def _exactly(self, length: int) -> bytes:
        try:
            data: bytes = self._reader.read(length)
        except (OSError, ValueError) as error:
            raise ConnectionLost(str(error)) from error
        if len(data) != length:
            raise ConnectionLost("end of stream")
        return data

    def close(self) -> None:
        self._reader.close()


class Cursor:
    """Reads the fields of one packet; a packet that is cut short is a lost connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fixed(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ConnectionLost("packet cut short")
        part = self._data[self._at : end]
        self._at = end
        return part

    def integer(self, length: int) -> int:
        return int.from_bytes(self.fixed(length), "little")

    def terminated(self) -> bytes:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            return self.rest()
        part = self._data[self._at : end]
        self._at = end + 1
        return part

    def length_encoded(self) -> bytes:
        first = self.integer(1)
        if first < 0xFB:
            return self.fixed(first)
        if first not in (0xFC, 0xFD, 0xFE):
            raise ConnectionLost("not a length")
        return self.fixed(self.integer({0xFC: 2, 0xFD: 3, 0xFE: 8}[first]))

    def rest(self) -> bytes:
        part = self._data[self._at :]
        self._at = len(self._data)
        return part

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def text(data: bytes) -> str:
    """UTF-8 as MySQL clients send it; other bytes survive as surrogates, never an error."""
    return data.decode("utf-8", "surrogateescape")


def is_no_text(data: str) -> bool:
    """Whether *data*, made by `text`, was not UTF-8."""
    return any("\udc80" <= char <= "\udcff" for char in data)


def _lenenc(number: int) -> bytes:
    if number < 0xFB:
        return bytes((number,))
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    if number < 1 << 24:
        return b"\xfd" + number.to_bytes(3, "little")
    return b"\xfe" + number.to_bytes(8, "little")


def _lenenc_text(data: bytes) -> bytes:
    return _lenenc(len(data)) + data


@dataclass(frozen=True)
class Login:
    """What a client sends to open a session."""

    capabilities: int
    user: str
    auth: bytes
    database: str
    plugin: str


def new_salt() -> bytes:
    """20 bytes without NUL and `$`, which some clients take for an end."""
    alphabet = bytes(set(range(1, 128)) - {ord("$")})
    return bytes(secrets.choice(alphabet) for _ in range(20))


def greeting(version: str, connection_id: int, salt: bytes) -> bytes:
    """Handshake v10."""
    return b"".join(
        (
            b"\x0a",
            version.encode(),
            b"\0",
            struct.pack("<I", connection_id),
            salt[:8],
            b"\0",
            struct.pack("<H", CAPABILITIES & 0xFFFF),
            b"\x2e",
            struct.pack("<H", STATUS_AUTOCOMMIT),
            struct.pack("<H", CAPABILITIES >> 16),
            bytes((len(salt) + 1,)),
            bytes(10),
            salt[8:],
            b"\0",
            NATIVE_PASSWORD.encode(),
            b"\0",
        )
    )


def parse_login(packet: bytes) -> Login:
    """HandshakeResponse41; anything older or cut is a lost connection."""
    fields = Cursor(packet)
    capabilities = fields.integer(4)
    if not capabilities & CLIENT_PROTOCOL_41:
        raise ConnectionLost("the client does not speak protocol 4.1")
    fields.fixed(4 + 1 + 23)
    user = text(fields.terminated())
    if capabilities & CLIENT_PLUGIN_AUTH_LENENC:
        auth = fields.length_encoded()
    elif capabilities & CLIENT_SECURE_CONNECTION:
        auth = fields.fixed(fields.integer(1))
    else:
        auth = fields.terminated()
    database = ""
    if capabilities & CLIENT_CONNECT_WITH_DB and fields.left:
        database = text(fields.terminated())
    plugin = ""
    if capabilities & CLIENT_PLUGIN_AUTH and fields.left:
        plugin = text(fields.terminated())
    return Login(capabilities, user, auth, database, plugin)


def auth_switch(salt: bytes) -> bytes:
    """Asks a client that began with another plugin for mysql_native_password."""
    return b"\xfe" + NATIVE_PASSWORD.encode() + b"\0" + salt + b"\0"


def password_hash(password: str) -> bytes:
    """SHA1(SHA1(password)), what a server stores; empty for no password."""
    if not password:
        return b""
    return hashlib.sha1(hashlib.sha1(password.encode()).digest()).digest()


def password_matches(stored: bytes, salt: bytes, answer: bytes) -> bool:
    """Whether *answer* is mysql_native_password's proof of the stored password."""
    if not stored:
        return not answer
    if len(answer) != 20:
        return False
    mask = hashlib.sha1(salt + stored).digest()
    first = bytes(a ^ b for a, b in zip(answer, mask, strict=True))
    return secrets.compare_digest(hashlib.sha1(first).digest(), stored)


def ok(affected: int, last_insert_id: int, status: int, *, header: int = 0x00) -> bytes:
    return (
        bytes((header,))
        + _lenenc(affected)
        + _lenenc(last_insert_id)
        + struct.pack("<HH", status, 0)
        + b"\x00"
    )


def eof(status: int) -> bytes:
    return b"\xfe" + struct.pack("<HH", 0, status)


def err(error: SqlError) -> bytes:
    return (
        b"\xff"
        + struct.pack("<H", error.code)
        + b"#"
        + error.sqlstate.encode()
        + error.message.encode("utf-8", "surrogateescape")
    )


def column_definition(column: Column) -> bytes:
    name = column.name.encode("utf-8", "surrogateescape")
    return b"".join(
        (
            b"\x03def\x00\x00\x00",
            _lenenc_text(name),
            _lenenc_text(name),
            b"\x0c",
            struct.pack(
                "<HIBHBH",
                column.type.charset,
                column.length or 255,
                column.type.code,
                (0x20 if column.unsigned else 0) | (0x80 if column.type.charset == 63 else 0),
                column.decimals,
                0,
            ),
        )
    )


def row(values: Sequence[object]) -> bytes:
    return b"".join(b"\xfb" if v is None else _lenenc_text(encode(v)) for v in values)


def encode(value: object) -> bytes:
    """One value of the text protocol."""
    match value:
        case str():
            return value.encode("utf-8", "surrogateescape")
        case bytes() | bytearray() | memoryview():
            return bytes(value)
        case bool():
            return b"1" if value else b"0"
        case int() | Decimal():
            return format(value, "f" if isinstance(value, Decimal) else "d").encode()
        case float():
            return _float_text(value).encode()
        case datetime.datetime():
            shown = value.strftime("%H:%M:%S") + (
                f".{value.microsecond:06d}" if value.microsecond else ""
            )
            return f"{value.year:04d}-{value.month:02d}-{value.day:02d} {shown}".encode()
        case datetime.date():
            return value.isoformat().encode()
        case datetime.timedelta():
            return _interval_text(value).encode()
        case datetime.time():
            return value.isoformat().encode()
        case _:
            raise TypeError(f"no text form for {type(value).__name__}")


def _float_text(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return repr(value)


def _interval_text(value: datetime.timedelta) -> str:
    micros = (value.days * 86_400 + value.seconds) * 1_000_000 + value.microseconds
    sign = "-" if micros < 0 else ""
    seconds, micros = divmod(abs(micros), 1_000_000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    fraction = f".{micros:06d}" if micros else ""
    return f"{sign}{hours:02d}:{minutes:02d}:{seconds:02d}{fraction}"


def result_set(
    columns: Sequence[Column],
    rows: Iterable[Sequence[object]],
    status: int,
    end_status: int,
    *,
    deprecate_eof: bool,
) -> Iterable[bytes]:
    """The packets of one result set, in order; the last one tells how the statement ended."""
    yield _lenenc(len(columns))
    for column in columns:
        yield column_definition(column)
    if not deprecate_eof:
        yield eof(status)
    whole = [index for index, column in enumerate(columns) if column.type in _WHOLE]
    for values in rows:
        for index in whole:
            if isinstance(values[index], float):
                # No client reads a fraction or an exponent there.
                raise SqlError(1690, "data out of range: data type int64, integer overflow")
        yield row(values)
    yield ok(0, 0, end_status, header=0xFE) if deprecate_eof else eof(end_status)
