"""The payloads of packets, made and read; the package's docstring has their order."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..errors import SqlError
from ..types.columns import BINARY, Column, ColumnType
from .channel import ConnectionLost, PacketReader
from .constants import OFFERED, Capability, ColumnFlag, Header, Status
from .passwords import NATIVE_PASSWORD
from .values import encode, text

_WHOLE = (ColumnType.TINY, ColumnType.SHORT, ColumnType.LONG, ColumnType.LONGLONG)


def _lenenc(number: int) -> bytes:
    if number < 0xFB:
        return bytes((number,))
    if number < 1 << 16:
        return b"\xfc" + number.to_bytes(2, "little")
    if number < 1 << 24:
        return b"\xfd" + number.to_bytes(3, "little")
    return b"\xfe" + number.to_bytes(8, "little")


_SHORT = [bytes((number,)) for number in range(0xFB)]


def _lenenc_text(data: bytes) -> bytes:
    return _lenenc(len(data)) + data


@dataclass(frozen=True)
class Login:
    """The client's answer to the greeting, which opens a session."""

    capabilities: Capability
    user: str
    auth: bytes
    database: str
    plugin: str


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
            struct.pack("<H", OFFERED & 0xFFFF),
            b"\x2e",
            struct.pack("<H", Status.AUTOCOMMIT),
            struct.pack("<H", OFFERED >> 16),
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
    fields = PacketReader(packet)
    capabilities = Capability(fields.integer(4))
    if not capabilities & Capability.PROTOCOL_41:
        raise ConnectionLost("the client does not speak protocol 4.1")
    fields.fixed(4 + 1 + 23)
    user = text(fields.terminated())
    if capabilities & Capability.PLUGIN_AUTH_LENENC:
        auth = fields.length_encoded()
    elif capabilities & Capability.SECURE_CONNECTION:
        auth = fields.fixed(fields.integer(1))
    else:
        auth = fields.terminated()
    database = ""
    if capabilities & Capability.CONNECT_WITH_DB and fields.left:
        database = text(fields.terminated())
    plugin = ""
    if capabilities & Capability.PLUGIN_AUTH and fields.left:
        plugin = text(fields.terminated())
    return Login(capabilities, user, auth, database, plugin)


def auth_switch(salt: bytes) -> bytes:
    """Ask a client that began with another plugin for mysql_native_password."""
    return bytes((Header.EOF,)) + NATIVE_PASSWORD.encode() + b"\0" + salt + b"\0"


def ok(affected: int, last_insert_id: int, status: int, *, header: Header = Header.OK) -> bytes:
    return (
        bytes((header,))
        + _lenenc(affected)
        + _lenenc(last_insert_id)
        + struct.pack("<HH", status, 0)
        + b"\x00"
    )


def eof(status: int) -> bytes:
    return bytes((Header.EOF,)) + struct.pack("<HH", 0, status)


def err(error: SqlError) -> bytes:
    return (
        bytes((Header.ERR,))
        + struct.pack("<H", error.code)
        + b"#"
        + error.sqlstate.encode()
        + error.message.encode("utf-8", "surrogateescape")
    )


_UNSIGNED, _BINARY = int(ColumnFlag.UNSIGNED), int(ColumnFlag.BINARY)


def _flags(column: Column) -> int:
    unsigned = _UNSIGNED if column.unsigned else 0
    return unsigned | (_BINARY if column.type.charset == BINARY else 0)


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
                _flags(column),
                column.decimals,
                0,
            ),
        )
    )


def row(values: Sequence[object]) -> bytes:
    parts: list[bytes] = []
    add = parts.append
    for value in values:
        if value is None:
            add(b"\xfb")
            continue
        data = encode(value)
        length = len(data)
        add(_SHORT[length] if length < 0xFB else _lenenc(length))
        add(data)
    return b"".join(parts)


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
    yield ok(0, 0, end_status, header=Header.EOF) if deprecate_eof else eof(end_status)
