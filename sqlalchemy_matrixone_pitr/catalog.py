"""Reads of ``mo_catalog``, now or at an earlier moment: objects, their ids, and foreign keys.

A function reads what the connection's own transaction sees, and asks one statement. A past moment
can be asked for on a connection without a transaction only.

Source: docs/server.md, Time travel; Where RESTORE does nothing and says OK.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias

from sqlalchemy import bindparam, text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import BindParameter, TextClause

from . import server
from .connections import query, query_named, roll_back, run_text, side_connection
from .errors import PitrRestoreError, is_not_there
from .extent import Parts
from .generations import object_of
from .model import Pitr
from .moment import Moment, MomentLike
from .names import SYSTEM_DATABASES, back_quoted, fold
from .server import parse_time

Key: TypeAlias = tuple[str, str]
"""A database, and a table in it."""

ObjectKey: TypeAlias = tuple[str, str | None]
"""A database and a table in it; a database itself has None."""


def _then(at: MomentLike | None) -> str:
    """The text after a table's name that reads it as of a moment; nothing for the present."""
    return "" if at is None else " {MO_TS = :then}"


def sql(statement: str, *lists: str, at: MomentLike | None = None) -> TextClause:
    """A statement with values, some of them lists.

    :param at: the moment of ``{MO_TS = :then}``: a value too, so that SQLAlchemy compiles the
        statement once, and not for each moment.
    """
    values: list[BindParameter[Any]] = [bindparam(name, expanding=True) for name in lists]
    if at is not None:
        values.append(bindparam("then", Moment.of(at).nanoseconds))
    return text(statement).bindparams(*values)


# --------------------------------------------------------------------------------------------- ids


def object_ids(
    connection: Connection,
    objects: Collection[ObjectKey],
    *,
    at: MomentLike | None = None,
) -> dict[ObjectKey, int]:
    """The ids of databases and tables: one statement for tables, one for databases."""
    found: dict[ObjectKey, int] = {}
    tables = sorted({table for _, table in objects if table is not None})
    if tables:
        statement = sql(
            f"SELECT reldatabase, relname, rel_id FROM mo_catalog.mo_tables{_then(at)} "
            "WHERE account_id = current_account_id() AND reldatabase IN :databases "
            "AND relname IN :tables",
            "databases",
            "tables",
            at=at,
        )
        databases = sorted({database for database, table in objects if table is not None})
        for database, table, rel_id in query(
            connection, statement, {"databases": databases, "tables": tables}
        ):
            found[database, table] = int(rel_id)
    alone = sorted({database for database, table in objects if table is None})
    if alone:
        statement = sql(
            f"SELECT datname, dat_id FROM mo_catalog.mo_database{_then(at)} "
            "WHERE account_id = current_account_id() AND datname IN :databases",
            "databases",
            at=at,
        )
        for database, dat_id in query(connection, statement, {"databases": alone}):
            found[database, None] = int(dat_id)
    return found


def table_ids(
    connection: Connection, databases: Iterable[str], *, at: MomentLike | None = None
) -> dict[Key, int]:
    """The ids of all tables in some databases, without the parts of others: partitions, indexes."""
    wanted = sorted(databases)
    if not wanted:
        return {}
    statement = sql(
        f"SELECT reldatabase, relname, rel_id FROM mo_catalog.mo_tables{_then(at)} "
        "WHERE account_id = current_account_id() AND reldatabase IN :databases AND relkind = 'r'",
        "databases",
        at=at,
    )
    return {
        (database, name): int(rel_id)
        for database, name, rel_id in query(connection, statement, {"databases": wanted})
        if not is_part(name)
    }


# ------------------------------------------------------------------------------------ foreign keys


class ForeignKey(NamedTuple):
    """A foreign key of a table, and the table that it refers to."""

    table: Key
    parent: Key

    @property
    def to_itself(self) -> bool:
        return self.table == self.parent


def foreign_keys(
    connection: Connection,
    *,
    of: Iterable[str] | None = None,
    to: Iterable[str] | None = None,
    at: MomentLike | None = None,
) -> list[ForeignKey]:
    """The foreign keys of an account, in order; each pair of tables once.

    :param of: only those of tables in these databases.
    :param to: only those that refer to tables in these databases.
    """
    wanted = {
        side: sorted(databases) or [""]
        for side, databases in (("of", of), ("to", to))
        if databases is not None
    }
    return sorted(
        {ForeignKey(key.table, key.parent) for key in _references(connection, wanted, " AND ", at)}
    )


def referring(keys: Iterable[ForeignKey]) -> dict[Key, list[Key]]:
    """The tables that refer to each table; one may be itself."""
    found: dict[Key, list[Key]] = {}
    for key in keys:
        found.setdefault(key.parent, []).append(key.table)
    return found


def parents_first(tables: Iterable[Key], keys: Iterable[ForeignKey | Reference]) -> list[Key]:
    """Tables in an order in which each comes after those that it refers to.

    Where they refer to each other in a circle, they stay as they came.

    >>> parents_first([("s", "a"), ("s", "b")], [ForeignKey(("s", "a"), ("s", "b"))])
    [('s', 'b'), ('s', 'a')]
    """
    pairs = [(key.table, key.parent) for key in keys if not key.to_itself]
    ordered: list[Key] = []
    left = list(tables)
    while left:
        there = set(left)
        waiting = {table for table, parent in pairs if parent in there}
        free = [table for table in left if table not in waiting] or left
        ordered += free
        left = [table for table in left if table not in free]
    return ordered


def in_circles(tables: Iterable[Key], keys: Iterable[ForeignKey | Reference]) -> set[Key]:
    """The tables that refer to themselves, or to each other in a circle; and what refers to those
    and is referred to by them.

    >>> in_circles([("s", "a"), ("s", "b")], [ForeignKey(("s", "a"), ("s", "a"))])
    {('s', 'a')}
    """
    left = set(tables)
    pairs = {(key.table, key.parent) for key in keys if key.table in left and key.parent in left}
    while True:
        inner = [(table, parent) for table, parent in pairs if table in left and parent in left]
        kept = left & {table for table, _ in inner} & {parent for _, parent in inner}
        if kept == left:
            return left
        left = kept


def names_of(tables: Iterable[Key]) -> str:
    """Tables as a person reads them: ``shop.orders, shop.lines``."""
    return ", ".join(f"{database}.{table}" for database, table in tables)


class Reference(NamedTuple):
    """A foreign key with its columns, and what a DELETE or UPDATE of the parent's row does."""

    name: str
    table: Key
    columns: tuple[str, ...]
    parent: Key
    parent_columns: tuple[str, ...]
    on_delete: str
    on_update: str = "RESTRICT"

    @property
    def to_itself(self) -> bool:
        return self.table == self.parent


def references(
    connection: Connection,
    *,
    of: Iterable[str] = (),
    to: Iterable[str] = (),
    at: MomentLike | None = None,
) -> list[Reference]:
    """The foreign keys of tables in some databases, and those that refer to tables in some.

    Names of columns are folded.
    """
    wanted = {"of": sorted(of) or [""], "to": sorted(to) or [""]}
    return _references(connection, wanted, " OR ", at)


_SIDES: Final = {"of": "db_name", "to": "refer_db_name"}


def _references(
    connection: Connection,
    wanted: Mapping[str, Sequence[str]],
    joined: str,
    at: MomentLike | None,
) -> list[Reference]:
    """The foreign keys whose tables, or parents, or both are in some databases."""
    where = joined.join(f"{_SIDES[side]} IN :{side}" for side in wanted)
    statement = sql(  # not every version has the columns of where rules come from
        f"SELECT * FROM mo_catalog.mo_foreign_keys{_then(at)}{where and f' WHERE {where}'}",
        *wanted,
        at=at,
    )
    parts: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for part in query_named(connection, statement, wanted):
        name = (part["db_name"], part["table_name"], part["constraint_name"])
        parts.setdefault(name, []).append(part)
    found = {
        (database, table, name): Reference(
            name,
            (database, table),
            tuple(fold(part["column_name"]) for part in of_it),
            (of_it[0]["refer_db_name"], of_it[0]["refer_table_name"]),
            tuple(fold(part["refer_column_name"]) for part in of_it),
            _rule(of_it[0], "on_delete"),
            _rule(of_it[0], "on_update"),
        )
        for (database, table, name), of_it in parts.items()
    }
    rules = server.rules_of(server.require_matrixone(connection))
    if rules.rebuild_forgets_foreign_keys:
        inside = any if joined == " OR " else all
        for key in _forgotten(connection, at):
            sides = {"of": key.table[0], "to": key.parent[0]}
            if inside(sides[side] in databases for side, databases in wanted.items()):
                found.setdefault((*key.table, key.name), key)
    if rules.alter_forgets_own_keys and joined == " OR ":
        named = sorted({database for databases in wanted.values() for database in databases})
        for key in _own_keys(connection, named, at):
            found.setdefault((*key.table, key.name), key)
    return [found[name] for name in sorted(found)]


def _rule(part: Mapping[str, Any], event: str) -> str:
    """The rule of a foreign key as SHOW CREATE TABLE has it; after 4.2 the catalogue says NO ACTION
    of one that was not given, and where it comes from.

    >>> _rule({"on_delete": "SET_NULL"}, "on_delete")
    'SET NULL'
    >>> origin = "ACTION_ORIGIN_DEFAULT"
    >>> _rule({"on_delete": "NO_ACTION", "on_delete_origin": origin}, "on_delete")
    'RESTRICT'
    """
    if part.get(f"{event}_origin") == "ACTION_ORIGIN_DEFAULT":
        return "RESTRICT"
    return str(part[event]).upper().replace("_", " ")


def _forgotten(connection: Connection, at: MomentLike | None) -> Iterator[Reference]:
    """The foreign keys of the tables that an ALTER has rebuilt, by their definitions: before 4.0
    they are in force, and ``mo_foreign_keys`` has them no more. One statement for each such table.
    """
    statement = sql(
        f"SELECT reldatabase, relname FROM mo_catalog.mo_tables{_then(at)} "
        "WHERE account_id = current_account_id() AND relkind = 'r' "
        "AND rel_createsql LIKE '%\\_copy\\_%FOREIGN KEY%'",
        at=at,
    )
    for database, table in query(connection, statement):
        yield from _defined_keys(connection, (database, table), at)


def _own_keys(
    connection: Connection, databases: Sequence[str], at: MomentLike | None
) -> Iterator[Reference]:
    """The foreign keys of tables to themselves, by their definitions: after 4.2 those that an ALTER
    has added are in force, and ``mo_foreign_keys`` never has them. One statement for each table.
    """
    inside = "AND reldatabase IN :databases " if databases else ""
    statement = sql(
        f"SELECT reldatabase, relname FROM mo_catalog.mo_tables{_then(at)} "
        f"WHERE account_id = current_account_id() AND relkind = 'r' {inside}"
        "AND reldatabase NOT IN :system",
        *(["databases"] if databases else []),
        "system",
        at=at,
    )
    values = {"system": sorted(SYSTEM_DATABASES)} | (
        {"databases": list(databases)} if databases else {}
    )
    for database, table in query(connection, statement, values):
        for key in _defined_keys(connection, (database, table), at):
            if key.to_itself:
                yield key


def _defined_keys(connection: Connection, table: Key, at: MomentLike | None) -> list[Reference]:
    then = "" if at is None else f" {Moment.of(at).sql}"
    shown = f"SHOW CREATE TABLE {back_quoted(*table)}{then}".replace("%", "%%")
    return keys_in(str(connection.exec_driver_sql(shown).one()[1]), table)


_QUOTED: Final = "`(?:[^`]|``)*`"
_KEY_LINE: Final = re.compile(
    rf"^  CONSTRAINT ({_QUOTED}) FOREIGN KEY \(([^)]*)\) "
    rf"REFERENCES (?:({_QUOTED})\.)?({_QUOTED}) \(([^)]*)\)"
    r"(?: ON DELETE (RESTRICT|CASCADE|SET NULL|SET DEFAULT|NO ACTION))?"
    r"(?: ON UPDATE (RESTRICT|CASCADE|SET NULL|SET DEFAULT|NO ACTION))?,?$",
    re.MULTILINE,
)


def keys_in(definition: str, table: Key) -> list[Reference]:
    """The foreign keys in a table's SHOW CREATE TABLE.

    >>> line = "  CONSTRAINT `f` FOREIGN KEY (`a`,`b`) REFERENCES `p` (`id`,`v`) ON DELETE CASCADE"
    >>> keys_in(line, ("shop", "c"))[0][2:6]
    (('a', 'b'), ('shop', 'p'), ('id', 'v'), 'CASCADE')
    """

    def name(quoted: str) -> str:
        return quoted[1:-1].replace("``", "`")

    def names(quoted: str) -> tuple[str, ...]:
        return tuple(fold(name(one)) for one in re.findall(_QUOTED, quoted))

    return [
        Reference(
            name(found[1]),
            table,
            names(found[2]),
            (name(found[3]) if found[3] else table[0], name(found[4])),
            names(found[5]),
            found[6] or "RESTRICT",
            found[7] or "RESTRICT",
        )
        for found in _KEY_LINE.finditer(definition)
    ]


# ------------------------------------------------------------------------------- shapes of tables


class ColumnShape(NamedTuple):
    """A column in the catalogue.

    :ivar type: its name in capitals, without length: ``INT UNSIGNED``, ``VARCHAR``, ``DECIMAL``.
    :ivar is_set_from_columns: whether an UPDATE of a join takes an expression with columns in it as
        its value.
    """

    name: str
    type: str
    nullable: bool
    generated: bool
    is_set_from_columns: bool

    @property
    def key(self) -> str:
        """The name as columns are compared by: letter case plays no part."""
        return fold(self.name)

    @property
    def keeps_itself(self) -> bool:
        """Whether an UPDATE may set it to itself."""
        return self.is_set_from_columns and not self.generated


def is_vector(type_name: str) -> bool:
    """Whether a type is one of vectors: VECF32, VECF64 and, of later servers, others."""
    return type_name.startswith("VEC")


_TYPE_OF_SETS: Final = "BIGINT UNSIGNED"
"""Type of a SET in the catalogue, where only its members tell it from a number."""


def _is_set_from_columns(type_name: str, rules: server.Rules) -> bool:
    if is_vector(type_name):
        return rules.vectors_in_joined_updates
    return type_name not in ("ENUM", "SET")


class TableShape(NamedTuple):
    """A table in the catalogue: its columns, and the columns of its keys, folded.

    :ivar kind: ``r`` of a table, ``v`` of a view, ``e`` of an external table.
    :ivar primary: () where it has no primary key.
    :ivar unique: UNIQUE keys by name.
    """

    kind: str
    columns: tuple[ColumnShape, ...]
    primary: tuple[str, ...]
    unique: dict[str, tuple[str, ...]]

    def column(self, key: str) -> ColumnShape | None:
        return next((column for column in self.columns if column.key == key), None)


def read_shape(
    connection: Connection, version: server.Version, table: Key, *, at: MomentLike | None = None
) -> TableShape | None:
    """The columns and keys of a table, by two statements; None where it is not there."""
    return read_shapes(connection, version, [table], at=at).get(table)


def read_shapes(
    connection: Connection,
    version: server.Version,
    tables: Collection[Key],
    *,
    at: MomentLike | None = None,
) -> dict[Key, TableShape]:
    """The columns and keys of tables, by two statements; one that is not there is left out.

    The first statement after SHOW PITR must be another one (docs/server.md, SHOW PITR).
    """
    wanted = set(tables)
    names = sorted({name for _, name in wanted})
    some = len(names) < _MANY
    rules = server.rules_of(version)
    generated = "attr_has_generated" if rules.generated_columns else "0"
    then = _then(at)
    lists = ("databases", "tables")[: 1 + some]
    statement = sql(
        "SELECT t.reldatabase, t.relname, t.relkind, t.rel_id, c.attname, "
        f"mo_show_visible_bin(c.atttyp, 2), c.attnotnull, {generated}, "
        "length(c.attr_enum) "
        f"FROM mo_catalog.mo_tables{then} t "
        f"JOIN mo_catalog.mo_columns{then} c ON c.att_relname_id = t.rel_id "
        "WHERE t.account_id = current_account_id() AND t.reldatabase IN :databases "
        f"{'AND t.relname IN :tables ' if some else ''}"
        "AND c.att_is_hidden = 0 ORDER BY c.attnum",
        *lists,
        at=at,
    )
    values: dict[str, object] = {"databases": sorted({database for database, _ in wanted})}
    if some:
        values["tables"] = names
    rows = query(connection, statement, values) if wanted else []
    columns: dict[Key, list[ColumnShape]] = {}
    kinds: dict[Key, str] = {}
    ids: dict[int, Key] = {}
    for database, table, kind, rel_id, name, type_, full, made, members in rows:
        key = database, table
        if key in wanted:
            kinds[key] = kind
            ids[int(rel_id)] = key
            shown = columns.setdefault(key, [])
            if not name.startswith("__mo_"):
                type_name = str(type_).partition("(")[0].upper()
                if members and type_name == _TYPE_OF_SETS:
                    type_name = "SET"
                shown.append(
                    ColumnShape(
                        name,
                        type_name,
                        not int(full),
                        bool(int(made)),
                        _is_set_from_columns(type_name, rules),
                    )
                )
    keys = _keys_of(connection, ids, at)
    return {
        key: TableShape(
            kinds[key],
            tuple(shown),
            next((tuple(k) for (kind, _), k in keys[key].items() if kind == "PRIMARY"), ()),
            {name: tuple(k) for (kind, name), k in keys[key].items() if kind == "UNIQUE"},
        )
        for key, shown in columns.items()
    }


def _keys_of(
    connection: Connection, tables: Mapping[int, Key], at: MomentLike | None
) -> dict[Key, dict[tuple[str, str], list[str]]]:
    """The columns of primary and UNIQUE keys, by kind and name, of tables by their ids."""
    statement = sql(
        f"SELECT table_id, name, type, column_name FROM mo_catalog.mo_indexes{_then(at)} "
        "WHERE table_id IN :ids AND type IN ('PRIMARY', 'UNIQUE') "
        "ORDER BY name, ordinal_position",
        "ids",
        at=at,
    )
    found: dict[Key, dict[tuple[str, str], list[str]]] = {key: {} for key in tables.values()}
    if tables:
        for table, name, kind, column in query(connection, statement, {"ids": sorted(tables)}):
            if not column.startswith("__mo_"):
                of_it = found[tables[int(table)]]
                of_it.setdefault((kind.upper(), name), []).append(fold(column))
    return found


# ------------------------------------------------------------------------------- kinds of tables


def lost_by_restore(connection: Connection, database: str | None) -> list[Key]:
    """The sequences and external tables of a database, or of all of the account's: a RESTORE of it
    drops them and brings none back."""
    within = " AND reldatabase = :database" if database is not None else ""
    statement = text(
        "SELECT reldatabase, relname FROM mo_catalog.mo_tables WHERE account_id = "
        f"current_account_id() AND relkind IN ('S', 'e'){within}"
    )
    values = {} if database is None else {"database": database}
    return sorted((found[0], found[1]) for found in query(connection, statement, values))


# -------------------------------------------------------------------------- indexes and partitions


_PARTS: Final = """\
SELECT t.reldatabase, t.relname, i.name
FROM mo_catalog.mo_tables{then} t JOIN mo_catalog.mo_indexes{then} i ON i.table_id = t.rel_id
WHERE t.account_id = current_account_id() AND i.type <> 'PRIMARY'
  AND t.reldatabase IN :databases{tables}
UNION
SELECT reldatabase, relname, '' FROM mo_catalog.mo_tables{then}
WHERE account_id = current_account_id() AND reldatabase IN :databases
  AND partitioned <> 0"""


def table_parts(
    connection: Connection, tables: Collection[Key], *, at: MomentLike | None = None
) -> dict[Key, Parts]:
    """The UNIQUE keys, indexes and partitions of tables; a table without any is left out."""
    if not tables:
        return {}
    names = sorted({table for _, table in tables})
    some = len(names) < _MANY
    values: dict[str, object] = {"databases": sorted({database for database, _ in tables})}
    if some:
        values["tables"] = names
    statement = sql(
        _PARTS.format(then=_then(at), tables=" AND t.relname IN :tables" if some else ""),
        *("databases", "tables")[: 1 + some],
        at=at,
    )
    wanted = set(tables)
    found: dict[Key, Parts] = {}
    for database, name, index in query(connection, statement, values):
        if (database, name) in wanted:
            part = Parts((index,)) if index else Parts(partitioned=True)
            found[database, name] = found.get((database, name), Parts()) | part
    return found


class IndexShape(NamedTuple):
    """A UNIQUE key or an index of a table.

    :ivar hidden_table: the table in which the server keeps it; empty where it is not known.
    """

    name: str
    unique: bool
    columns: tuple[str, ...]
    hidden_table: str


def indexes_of(connection: Connection, tables: Collection[Key]) -> dict[Key, list[IndexShape]]:
    """The UNIQUE keys and ordinary indexes of tables: one statement. Fulltext and vector indexes
    are left out: what they find cannot be counted."""
    if not tables:
        return {}
    statement = sql(
        "SELECT t.reldatabase, t.relname, i.name, i.type, i.column_name, i.index_table_name "
        "FROM mo_catalog.mo_tables t JOIN mo_catalog.mo_indexes i ON i.table_id = t.rel_id "
        "WHERE t.account_id = current_account_id() AND t.reldatabase IN :databases "
        "AND i.type IN ('UNIQUE', 'MULTIPLE') AND coalesce(i.algo, '') IN ('', 'btree') "
        "ORDER BY i.name, i.ordinal_position",
        "databases",
    )
    found: dict[tuple[Key, str], tuple[bool, list[str], str]] = {}
    values = {"databases": sorted({database for database, _ in tables})}
    for database, table, name, kind, column, hidden in query(connection, statement, values):
        key = database, table
        if key in tables:
            of_it = found.setdefault((key, name), (kind == "UNIQUE", [], str(hidden or "")))
            if not column.startswith("__mo_"):
                of_it[1].append(column)
    shapes: dict[Key, list[IndexShape]] = {}
    for (key, name), (unique, columns, hidden) in found.items():
        shapes.setdefault(key, []).append(IndexShape(name, unique, tuple(columns), hidden))
    return shapes


# ------------------------------------------------------------------------------------------ objects


class CatalogObject(NamedTuple):
    """A database or table in the catalogue."""

    id: int
    made: dt.datetime
    logical_id: int
    """From 4.0 on a table keeps it when it is rebuilt; before 4.0, and for a database, the id."""
    partitioned: bool = False

    @property
    def rebuilt(self) -> bool:
        """Whether a table of 4.x was rebuilt or truncated since it was made.

        An ordinary CREATE PITR then records the logical id, and the server's garbage collection
        looks for the id: it protects nothing.
        """
        return self.id != self.logical_id


Objects: TypeAlias = "dict[ObjectKey, CatalogObject]"


_OBJECTS: Final = """\
SELECT w.account, w.chosen, w.moment,
  d.datname, d.dat_id, d.created_time,
  t.relname, t.rel_id, t.{logical_id}, t.created_time, t.partitioned
FROM (SELECT current_account_name() AS account, DATABASE() AS chosen, now(6) AS moment) w
LEFT JOIN mo_catalog.mo_database d
  ON d.account_id = current_account_id() AND (d.datname = DATABASE() OR d.datname IN :databases)
LEFT JOIN mo_catalog.mo_tables t
  ON t.account_id = d.account_id AND t.reldatabase = d.datname{tables}"""


_MANY: Final = 1000
"""From so many names on, all tables of the databases are read."""


def read_objects(
    connection: Connection,
    version: server.Version,
    databases: Collection[str],
    tables: Collection[str] | None,
) -> tuple[str, str | None, dt.datetime, Objects]:
    """The account, the default database, the server's clock, and objects of the catalogue."""
    some = tables is not None and len(tables) < _MANY
    statement = text(
        _OBJECTS.format(
            logical_id="rel_logical_id" if server.rules_of(version).logical_ids else "rel_id",
            tables=" AND t.relname IN :tables" if some else "",
        )
    ).bindparams(bindparam("databases", expanding=True))
    values: dict[str, object] = {"databases": sorted(databases) or [""]}
    if some and tables is not None:
        statement = statement.bindparams(bindparam("tables", expanding=True))
        values["tables"] = sorted(tables) or [""]
    objects: Objects = {}
    rows = query(connection, statement, values)
    for row in rows:
        database, dat_id, made, table, rel_id, logical_id, table_made, partitioned = row[3:]
        if database is None:
            continue
        if (database, None) not in objects:
            objects[database, None] = CatalogObject(int(dat_id), parse_time(made), int(dat_id))
        if table is not None:
            objects[database, table] = CatalogObject(
                int(rel_id), parse_time(table_made), int(logical_id), bool(partitioned)
            )
    account, chosen, now = rows[0][:3]
    return str(account), chosen or None, parse_time(now), objects


class AccountTables(NamedTuple):
    """The tables of an account's databases, as they are now.

    :ivar account: the account's own name.
    :ivar database: the connection's default database; None where none is chosen.
    :ivar now: the server's clock.
    :ivar objects: databases and tables.
    :ivar parts: UNIQUE keys, indexes and partitions of tables; those without are left out.
    :ivar others: views, sequences and external tables.
    """

    account: str
    database: str | None
    now: dt.datetime
    objects: Objects
    parts: dict[Key, Parts]
    others: frozenset[Key]


_TABLES: Final = """\
SELECT w.account, w.chosen, w.moment, d.datname, d.dat_id, d.created_time,
  t.relname, t.rel_id, t.{logical_id}, t.created_time, t.partitioned, t.relkind, i.name
FROM (SELECT current_account_name() AS account, DATABASE() AS chosen, now(6) AS moment) w
LEFT JOIN mo_catalog.mo_database d ON d.account_id = current_account_id() AND {within}
LEFT JOIN mo_catalog.mo_tables t
  ON t.account_id = d.account_id AND t.reldatabase = d.datname AND t.relkind <> 'i'
LEFT JOIN mo_catalog.mo_indexes i ON i.table_id = t.rel_id AND i.type <> 'PRIMARY'"""


def read_tables(
    connection: Connection, version: server.Version, databases: Collection[str] | None
) -> AccountTables:
    """The databases of the account, their tables, and what these have besides rows: one statement.

    :param databases: those to read, besides the default one; None is all but the server's own.
    """
    statement = sql(
        _TABLES.format(
            logical_id="rel_logical_id" if server.rules_of(version).logical_ids else "rel_id",
            within="d.datname NOT IN :databases"
            if databases is None
            else "(d.datname = DATABASE() OR d.datname IN :databases)",
        ),
        "databases",
    )
    wanted = sorted(SYSTEM_DATABASES if databases is None else databases) or [""]
    return tables_of(query(connection, statement, {"databases": wanted}))


def tables_of(rows: Sequence[Sequence[Any]]) -> AccountTables:
    """The tables in the rows of :func:`read_tables`: one for each column of each index."""
    objects: Objects = {}
    indexes: dict[Key, set[str]] = {}
    others: set[Key] = set()
    for row in rows:
        database, dat_id, made, table, rel_id, logical_id, altered, partitioned = row[3:11]
        if database is None or database in SYSTEM_DATABASES:
            continue
        if (database, None) not in objects:
            objects[database, None] = CatalogObject(int(dat_id), parse_time(made), int(dat_id))
        if table is None or is_part(table):
            continue
        if row[11] != "r":
            others.add((database, table))
            continue
        if (database, table) not in objects:
            objects[database, table] = CatalogObject(
                int(rel_id), parse_time(altered), int(logical_id), bool(partitioned)
            )
        if row[12] is not None:
            indexes.setdefault((database, table), set()).add(row[12])
    parts = {
        (database, table): Parts(tuple(sorted(names)), objects[database, table].partitioned)
        for (database, table), names in indexes.items()
    }
    for key, found in objects.items():
        if found.partitioned and key[1] is not None:
            parts.setdefault((key[0], key[1]), Parts(partitioned=True))
    account, chosen, now = rows[0][:3]
    return AccountTables(
        str(account), chosen or None, parse_time(now), objects, parts, frozenset(others)
    )


_NEAR: Final = 10_000
"""Nanoseconds within which nobody can have read a table that has just been committed, and written
to it."""


def moment_of_creation(
    connection: Connection, table: Key, number: int, before: Moment
) -> Moment | None:
    """The moment at which a table with an id was committed, or up to 10 microseconds later.

    By halves: a dozen statements. On an idle connection.

    :param before: a moment shortly before, at which it was not there.
    :return: None where it is not there yet, by the clock of this server.
    """

    def is_there(nanoseconds: int) -> bool:
        there = object_ids(connection, [table], at=Moment(nanoseconds))
        roll_back(connection)
        return there.get(table) == number

    first, last = before.nanoseconds, server.clock(connection)
    if not is_there(last):
        return None
    while last - first > _NEAR:
        middle = (first + last) // 2
        if is_there(middle):
            last = middle
        else:
            first = middle
    return Moment(last)


_EARLIER: Final = """\
SELECT d.datname, d.dat_id, t.relname, t.rel_id
FROM mo_catalog.mo_database{then} d
LEFT JOIN mo_catalog.mo_tables{then} t
  ON t.account_id = d.account_id AND t.reldatabase = d.datname AND {which}
  AND t.reldatabase <> :always
WHERE d.account_id = current_account_id() AND d.datname IN :databases"""


def ids_at(
    connection: Connection,
    databases: Collection[str],
    moment: Moment,
    tables: Collection[str] | None = None,
) -> dict[ObjectKey, int] | None:
    """The ids that databases and their tables had at a moment: one statement.

    :param tables: the names of those to look for, also of views and parts; None is all tables.
    :return: None where the catalogue of the moment is not there: it is before the account, or the
        server has forgotten it.
    """
    which = "t.relkind = 'r'" if tables is None else "t.relname IN :tables"
    lists = ["databases"] if tables is None else ["databases", "tables"]
    statement = sql(_EARLIER.format(then=_then(moment), which=which), *lists, at=moment)
    values: dict[str, Any] = {"databases": [_ALWAYS, *sorted(databases)], "always": _ALWAYS}
    if tables is not None:
        values["tables"] = sorted(tables) or [""]
    try:
        rows = query(connection, statement, values)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return None
    if not any(row[0] == _ALWAYS for row in rows):
        return None
    found: dict[ObjectKey, int] = {}
    for database, dat_id, table, rel_id in rows:
        found[database, None] = int(dat_id)
        if table is not None:
            found[database, table] = int(rel_id)
    return found


def past_ids(
    connection: Connection, pitrs: Iterable[Pitr], created: dt.datetime
) -> dict[ObjectKey, int]:
    """Ids of the PITRs' databases and tables, just after a moment; none where it is forgotten."""
    moment = Moment((int(created.timestamp()) + 1) * 1_000_000_000)
    try:
        return object_ids(connection, {object_of(pitr) for pitr in pitrs}, at=moment)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return {}


def objects_here(connection: Connection, databases: Collection[str]) -> set[ObjectKey]:
    """The objects in some databases, parts included, as the connection's transaction sees them."""
    statement = sql(
        "SELECT reldatabase, relname FROM mo_catalog.mo_tables "
        "WHERE account_id = current_account_id() AND reldatabase IN :databases",
        "databases",
    )
    rows = query(connection, statement, {"databases": sorted(databases) or [""]})
    return {(row[0], row[1]) for row in rows}


def has_table(connection: Connection, database: str, table: str) -> bool:
    """Whether a table is committed, asked on a connection beside the caller's."""
    with side_connection(connection) as aside:
        return bool(object_ids(aside, [(database, table)]))


def rows_in_partitions(connection: Connection, table: Key) -> int:
    """The rows of a table's partitions, each read by its own name; 0 of a table without any.

    From 4.0 on, a transaction that has made a partitioned table reads no rows of it before COMMIT,
    but those of its partitions (docs/server.md, Partitions).
    """
    statement = text(
        "SELECT relname FROM mo_catalog.mo_tables WHERE account_id = current_account_id() "
        "AND reldatabase = :database AND relkind = 'partition'"
    )
    database, name = table
    rows = 0
    for (part,) in query(connection, statement, {"database": database}):
        if part.startswith("%!%") and part.endswith(f"%!%{name}"):
            counted = f"SELECT count(*) FROM {back_quoted(database, part)}".replace("%", "%%")
            rows += int(connection.exec_driver_sql(counted).scalar_one())
    return rows


def check_cloned(connection: Connection, tables: Collection[Key]) -> None:
    """Check that tables are there which the connection's transaction has cloned: before 4.x the
    server says OK to a CLONE that fails after BEGIN (docs/server.md, Clones).

    :raises PitrRestoreError: one is not.
    """
    there = object_ids(connection, tables)
    missing = sorted(table for table in tables if table not in there)
    if missing:
        raise PitrRestoreError(
            f"{names_of(missing)} was not made: the server said OK to its CLONE, and made nothing. "
            "The same CLONE outside of a transaction says why"
        )


def broken_views(connection: Connection, database: str, at: MomentLike) -> list[str]:
    """The views of a database that could not be read at a moment, since they refer to what was not
    there. One statement for each view; on an idle connection of ours."""
    kinds = kinds_in(connection, database, at=at)
    broken = []
    for view in sorted(name for name, kind in kinds.items() if kind == "v"):
        quoted = back_quoted(database, view)
        try:
            run_text(connection, f"SELECT 1 FROM {quoted} {Moment.of(at).sql} WHERE 1 = 0").all()
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            roll_back(connection)
            broken.append(view)
    return broken


def is_part(name: str) -> bool:
    """Whether a table is a part of another: a partition, or an index."""
    return name.startswith(("%!%", "__mo_"))


# ------------------------------------------------------------------------------ what was there when


class Present(NamedTuple):
    """A database or table that was there at a moment; a database has no table name.

    :ivar id: which policies record; a rebuild changes it.
    """

    database_name: str
    table_name: str | None
    id: int
    partitioned: bool = False

    @property
    def key(self) -> ObjectKey:
        return self.database_name, self.table_name


class Identity(NamedTuple):
    """The identity of a database or table; before 4.0 a rebuild ends it."""

    is_table: bool
    id: int


Inventory: TypeAlias = "dict[Identity, Present]"


_INVENTORY: Final = """\
SELECT d.datname, d.dat_id, t.relname, t.rel_id, t.{logical_id}, t.partitioned
FROM mo_catalog.mo_database{then} d
LEFT JOIN mo_catalog.mo_tables{then} t
  ON t.account_id = d.account_id AND t.reldatabase = d.datname AND t.relkind = 'r'
  AND t.reldatabase NOT IN :system
WHERE d.account_id = current_account_id(){within}"""

_ALWAYS: Final = "information_schema"
"""A database that every account has from its beginning."""


def inventory(
    connection: Connection,
    version: server.Version,
    *,
    at: MomentLike,
    database: str | None = None,
) -> Inventory | None:
    """The databases and tables of the account at a moment, or one database and its tables.

    :return: None where the catalogue of the moment is not there: it is before the account, or the
        server has forgotten it.
    """
    statement = sql(
        _INVENTORY.format(
            then=_then(at),
            logical_id="rel_logical_id" if server.rules_of(version).logical_ids else "rel_id",
            within="" if database is None else " AND d.datname IN :databases",
        ),
        *(["system"] if database is None else ["system", "databases"]),
        at=at,
    )
    values = {"system": sorted(SYSTEM_DATABASES), "databases": [_ALWAYS, database]}
    if database is None:
        del values["databases"]
    try:
        rows = query(connection, statement, values)
    except DBAPIError as error:
        if not is_not_there(error):
            raise
        roll_back(connection)
        return None
    if not any(row[0] == _ALWAYS for row in rows):
        return None
    found: Inventory = {}
    for name, dat_id, table, rel_id, logical_id, partitioned in rows:
        if name in SYSTEM_DATABASES:
            continue
        found[Identity(False, int(dat_id))] = Present(name, None, int(dat_id))
        if table is not None and not is_part(table):
            present = Present(name, table, int(rel_id), bool(partitioned))
            found[Identity(True, int(logical_id))] = present
    return found


def kinds_in(
    connection: Connection, database: str, *, at: MomentLike | None = None
) -> dict[str, str]:
    """The objects in a database by name, with their kind: ``r`` table, ``v`` view, ``S`` sequence,
    ``e`` external table; parts of tables are left out."""
    statement = sql(
        f"SELECT relname, relkind FROM mo_catalog.mo_tables{_then(at)} "
        "WHERE account_id = current_account_id() AND reldatabase = :database",
        at=at,
    )
    rows = query(connection, statement, {"database": database})
    return {name: kind for name, kind in rows if not is_part(name)}


def numbered_columns(connection: Connection, database: str, *, at: MomentLike) -> list[Key]:
    """The tables of a database that have an AUTO_INCREMENT column, with its name."""
    statement = sql(
        f"SELECT att_relname, attname FROM mo_catalog.mo_columns{_then(at)} "
        "WHERE account_id = current_account_id() AND att_database = :database "
        "AND att_is_auto_increment = 1",
        at=at,
    )
    rows = query(connection, statement, {"database": database})
    return sorted(
        (table, column)
        for table, column in rows
        if not is_part(table) and not column.startswith("__mo_")
    )


def routines_in(connection: Connection, database: str, *, at: MomentLike) -> list[str] | None:
    """The functions and procedures of a database; None where this user may not know."""
    then = _then(at)
    statement = sql(
        f"SELECT name FROM mo_catalog.mo_user_defined_function{then} WHERE db = :database "
        f"UNION ALL SELECT name FROM mo_catalog.mo_stored_procedure{then} WHERE db = :database",
        at=at,
    )
    try:
        return sorted(row[0] for row in query(connection, statement, {"database": database}))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return None
