"""SQL types: what the server declares, and what goes over the wire."""

from __future__ import annotations

import enum
from dataclasses import dataclass

UTF8 = 45
BINARY = 63


class ColumnType(enum.Enum):
    """Type byte and character set of a column definition packet."""

    DECIMAL = ("decimal", 0, BINARY)
    TINY = ("tiny", 1, BINARY)
    SHORT = ("short", 2, BINARY)
    LONG = ("long", 3, BINARY)
    FLOAT = ("float", 4, BINARY)
    DOUBLE = ("double", 5, BINARY)
    NULL = ("null", 6, BINARY)
    TIMESTAMP = ("timestamp", 7, BINARY)
    LONGLONG = ("longlong", 8, BINARY)
    DATE = ("date", 10, BINARY)
    TIME = ("time", 11, BINARY)
    DATETIME = ("datetime", 12, BINARY)
    YEAR = ("year", 13, BINARY)
    BOOL = ("bool", 15, UTF8)
    VARCHAR = ("varchar", 15, UTF8)
    VARBINARY = ("varbinary", 15, BINARY)
    BIT = ("bit", 16, BINARY)
    UUID = ("uuid", 243, BINARY)
    JSON = ("json", 245, BINARY)
    TEXT = ("text", 252, UTF8)
    BLOB = ("blob", 252, BINARY)
    VAR_STRING = ("var_string", 253, UTF8)
    STRING = ("string", 254, UTF8)

    def __init__(self, label: str, code: int, charset: int) -> None:
        self.label = label
        self.code = code
        self.charset = charset


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result: its label as the server gives it, and its wire type."""

    name: str
    type: ColumnType
    length: int = 0
    decimals: int = 0
    unsigned: bool = False


@dataclass(frozen=True, slots=True)
class SqlType:
    """A declared or derived type; *kind* is the server's name of it in lower case."""

    kind: str
    width: int = 0
    scale: int = 0
    unsigned: bool = False
    values: tuple[str, ...] = ()

    @property
    def is_integer(self) -> bool:
        return self.kind in INTEGER_RANGES

    @property
    def is_numeric(self) -> bool:
        return self.kind in INTEGER_RANGES or self.kind in ("decimal", "float", "double", "bool")

    @property
    def is_vector(self) -> bool:
        return self.kind in ("vecf32", "vecf64")

    @property
    def is_text(self) -> bool:
        return self.kind in ("char", "varchar", "text", "enum", "set", "uuid", "json", "datalink")

    @property
    def is_bytes(self) -> bool:
        return self.kind in ("binary", "varbinary", "blob")

    @property
    def is_temporal(self) -> bool:
        return self.kind in ("date", "datetime", "timestamp", "time")

    @property
    def text(self) -> str:
        """As SHOW CREATE TABLE and SHOW COLUMNS write it."""
        kind = self.kind
        if kind in ("char", "varchar", "binary", "varbinary", "bit", "vecf32", "vecf64"):
            return f"{kind}({self.width})"
        if kind == "decimal":
            return f"decimal({self.width},{self.scale})"
        if kind in ("datetime", "timestamp", "time") and self.scale:
            return f"{kind}({self.scale})"
        if kind in ("float", "double") and self.width:
            return f"{kind}({self.width},{self.scale})"
        if kind in ("enum", "set"):
            return kind + "({})".format(
                ",".join("'" + v.replace("'", "''") + "'" for v in self.values)
            )
        return f"{kind} unsigned" if self.unsigned else kind

    @property
    def column_type(self) -> ColumnType:
        return _WIRE.get(self.kind, ColumnType.VAR_STRING)

    def column(self, name: str) -> Column:
        decimals = self.scale if self.kind in ("decimal", "datetime", "timestamp", "time") else 0
        return Column(name, self.column_type, self.width, decimals, self.unsigned)

    @property
    def affinity(self) -> str:
        """The sqlite column type that leaves stored values as they are."""
        if (self.kind == "bigint" and self.unsigned) or (self.kind == "bit" and self.width == 64):
            return "BLOB"  # what does not fit into sqlite's integers is text of 20 digits
        if self.kind in INTEGER_RANGES or self.kind in ("bool", "bit", "time", "year"):
            return "INTEGER"
        if self.kind in ("float", "double"):
            return "REAL"
        if self.kind == "decimal":
            return "TEXT COLLATE mo_decimal"
        return "BLOB" if self.is_bytes else "TEXT"


INTEGER_RANGES: dict[str, tuple[int, int, str]] = {
    "tinyint": (8, 255, "int8"),
    "smallint": (16, 65535, "int16"),
    "int": (32, 4294967295, "int32"),
    "bigint": (64, 18446744073709551615, "int64"),
}

_WIRE = {
    "bool": ColumnType.BOOL,
    "bit": ColumnType.BIT,
    "tinyint": ColumnType.TINY,
    "smallint": ColumnType.SHORT,
    "int": ColumnType.LONG,
    "bigint": ColumnType.LONGLONG,
    "float": ColumnType.FLOAT,
    "double": ColumnType.DOUBLE,
    "decimal": ColumnType.DECIMAL,
    "date": ColumnType.DATE,
    "time": ColumnType.TIME,
    "datetime": ColumnType.DATETIME,
    "timestamp": ColumnType.TIMESTAMP,
    "char": ColumnType.STRING,
    "varchar": ColumnType.VAR_STRING,
    "text": ColumnType.TEXT,
    "blob": ColumnType.BLOB,
    "binary": ColumnType.VARBINARY,
    "varbinary": ColumnType.VARBINARY,
    "json": ColumnType.JSON,
    "uuid": ColumnType.UUID,
    "enum": ColumnType.VAR_STRING,
    "set": ColumnType.VAR_STRING,
    "year": ColumnType.YEAR,
    "label": ColumnType.VARCHAR,
    "vecf32": ColumnType.VARCHAR,
    "vecf64": ColumnType.VARCHAR,
    "any": ColumnType.TEXT,
}

ANY = SqlType("any")
BOOL = SqlType("bool")
BIGINT = SqlType("bigint")
UBIGINT = SqlType("bigint", unsigned=True)
DOUBLE = SqlType("double")
DATE = SqlType("date")
TIME = SqlType("time")
DATETIME = SqlType("datetime")
TEXT = SqlType("text")
BLOB = SqlType("blob")
JSON = SqlType("json")


def varchar(width: int) -> SqlType:
    return SqlType("varchar", width)


_NAMES = {
    "boolean": "bool",
    "integer": "int",
    "mediumint": "int",
    "int1": "tinyint",
    "int2": "smallint",
    "int3": "int",
    "int4": "int",
    "int8": "bigint",
    "numeric": "decimal",
    "dec": "decimal",
    "fixed": "decimal",
    "real": "double",
    "tinytext": "text",
    "mediumtext": "text",
    "longtext": "text",
    "tinyblob": "blob",
    "mediumblob": "blob",
    "longblob": "blob",
    "nchar": "char",
    "nvarchar": "varchar",
    "character": "char",
}


def make_type(
    name: str,
    arguments: tuple[int, ...] = (),
    *,
    unsigned: bool = False,
    values: tuple[str, ...] = (),
) -> SqlType | None:
    """The type that `name(arguments) [UNSIGNED]` declares; None for a name unknown here."""
    kind = _NAMES.get(name.lower(), name.lower())
    first = arguments[0] if arguments else None
    if kind == "tinyint" and first == 1 and not unsigned:
        return SqlType("tinyint")
    if kind in INTEGER_RANGES:
        return SqlType(kind, unsigned=unsigned)
    if kind in ("bool", "date", "json", "uuid", "text", "blob", "datalink"):
        return SqlType(kind)
    if kind == "bit":
        return SqlType("bit", 1 if first is None else first)
    if kind == "decimal":
        width = 38 if first is None else first
        return SqlType("decimal", width, arguments[1] if len(arguments) > 1 else 0)
    if kind in ("float", "double"):
        if kind == "float" and len(arguments) == 1:
            return SqlType("double" if arguments[0] > 24 else "float")
        if len(arguments) > 1:
            return SqlType(kind, arguments[0], arguments[1])
        return SqlType(kind)
    if kind in ("char", "binary"):
        return SqlType(kind, 1 if first is None else first)
    if kind in ("varchar", "varbinary"):
        return SqlType(kind, 65535 if first is None else first)
    if kind in ("datetime", "timestamp", "time"):
        return SqlType(kind, 0, first or 0)
    if kind in ("enum", "set"):
        return SqlType(kind, 0, 0, values=values)
    if kind == "year":
        return SqlType("year", 4)
    if kind in ("vecf32", "vecf64"):
        return SqlType(kind, 65535 if first is None else first)
    return None
