"""Numbers of the protocol, under the names of its own documentation."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Capability(IntFlag):
    """Capabilities that client and server exchange in their first packets."""

    LONG_PASSWORD = 1
    FOUND_ROWS = 1 << 1
    LONG_FLAG = 1 << 2
    CONNECT_WITH_DB = 1 << 3
    PROTOCOL_41 = 1 << 9
    INTERACTIVE = 1 << 10
    TRANSACTIONS = 1 << 13
    SECURE_CONNECTION = 1 << 15
    MULTI_STATEMENTS = 1 << 16
    MULTI_RESULTS = 1 << 17
    PLUGIN_AUTH = 1 << 19
    CONNECT_ATTRS = 1 << 20
    PLUGIN_AUTH_LENENC = 1 << 21
    DEPRECATE_EOF = 1 << 24


OFFERED = Capability(sum(Capability))
"""The capabilities that this server offers: all of them"""


class Status(IntFlag):
    """The state of a session, in every packet that ends an answer."""

    NONE = 0
    IN_TRANS = 0x0001
    AUTOCOMMIT = 0x0002
    MORE_RESULTS = 0x0008
    NO_GOOD_INDEX_USED = 0x0010
    QUERY_WAS_SLOW = 0x0800
    ENDED = NO_GOOD_INDEX_USED | QUERY_WAS_SLOW
    """Two bits that MatrixOne sets in each packet that ends an answer"""


class Command(IntEnum):
    """The first byte of what a client sends once it is logged in."""

    QUIT = 0x01
    INIT_DB = 0x02
    QUERY = 0x03
    PING = 0x0E
    STMT_PREPARE = 0x16
    STMT_CLOSE = 0x19


class ColumnFlag(IntFlag):
    """Properties of a column in its definition."""

    NONE = 0
    UNSIGNED = 0x20
    BINARY = 0x80


class Header(IntEnum):
    """The first byte of an answer that is no result set."""

    OK = 0x00
    EOF = 0xFE
    ERR = 0xFF
