"""The statements that put tables in place by copies, in one transaction. Data, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..catalog import Key, Reference, parents_first
from ..ddl import Clone, CopyRows
from ..moment import Moment
from ..names import back_quoted
from ..past.definitions import renamed, without_foreign_keys
from .decision import Decision, Way, copy_order
from .facts import Facts


@dataclass(frozen=True, slots=True)
class Piece:
    """A table that is put in place.

    :ivar source: the table whose state it gets, at a moment or now.
    :ivar definition: its CREATE TABLE, where its rows are copied; None of a CLONE.
    :ivar columns: those that take values.
    """

    table: Key
    source: Key
    at: Moment | None
    definition: str | None = None
    columns: tuple[str, ...] = ()

    def statements(self) -> Iterator[str]:
        if self.definition is None:
            yield str(Clone(self.source, self.table, self.at))
            return
        yield renamed(without_foreign_keys(self.definition), self.table)
        yield str(CopyRows(self.source, self.table, self.at, self.columns))


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Tables that are dropped, and tables that are put in place.

    :ivar drop_keys: foreign keys that would keep a table from being dropped.
    :ivar drop_tables: in order, children first.
    :ivar pieces: in order, parents first.
    :ivar drop_databases: databases that are empty by then.
    :ivar add_keys: foreign keys of the pieces, and those of other tables that were dropped.
    :ivar drop_views: views that are not there afterwards, or otherwise.
    :ivar create_views: their texts, which are for their database.
    """

    pieces: tuple[Piece, ...]
    drop_tables: tuple[Key, ...] = ()
    drop_keys: tuple[Reference, ...] = ()
    add_keys: tuple[Reference, ...] = ()
    create_databases: tuple[str, ...] = ()
    drop_databases: tuple[str, ...] = ()
    drop_views: tuple[Key, ...] = ()
    create_views: tuple[tuple[Key, str], ...] = ()

    def statements(self) -> Iterator[str]:
        """The statements in order, but for those of views, which come last."""
        for key in self.drop_keys:
            yield drop_key(key)
        for view in self.drop_views:
            yield f"DROP VIEW {back_quoted(*view)}"
        for table in self.drop_tables:
            yield f"DROP TABLE {back_quoted(*table)}"
        for database in self.drop_databases:
            yield f"DROP DATABASE {back_quoted(database)}"
        for database in self.create_databases:
            yield f"CREATE DATABASE {back_quoted(database)}"
        for piece in self.pieces:
            yield from piece.statements()
        for key in self.add_keys:
            yield add_key(key)


def drop_key(key: Reference) -> str:
    """
    >>> key = Reference("f", ("shop", "lines"), ("o",), ("shop", "orders"), ("id",), "CASCADE")
    >>> drop_key(key)
    'ALTER TABLE `shop`.`lines` DROP FOREIGN KEY `f`'
    """
    return f"ALTER TABLE {back_quoted(*key.table)} DROP FOREIGN KEY {back_quoted(key.name)}"


def add_key(key: Reference) -> str:
    """
    >>> key = Reference("f", ("shop", "lines"), ("o",), ("shop", "orders"), ("id",), "CASCADE")
    >>> add_key(key)[-44:]
    ' (`id`) ON DELETE CASCADE ON UPDATE RESTRICT'
    """
    mine = ", ".join(map(back_quoted, key.columns))
    theirs = ", ".join(map(back_quoted, key.parent_columns))
    return (
        f"ALTER TABLE {back_quoted(*key.table)} ADD CONSTRAINT {back_quoted(key.name)} "
        f"FOREIGN KEY ({mine}) REFERENCES {back_quoted(*key.parent)} ({theirs}) "
        f"ON DELETE {key.on_delete} ON UPDATE {key.on_update}"
    )


def rebuild_of(facts: Facts, decision: Decision, definitions: Mapping[Key, str]) -> Rebuild:
    """The statements that bring the past back by copies.

    :param definitions: as they were, of the tables whose rows are copied.
    """
    assert facts.then is not None
    pieces = []
    add = []
    for table in copy_order(facts):
        if decision.ways[table] is Way.CLONE:
            pieces.append(Piece(table, table, facts.at))
            continue
        columns = facts.then.shapes[table].columns
        written = tuple(column.name for column in columns if not column.generated)
        pieces.append(Piece(table, table, facts.at, definitions[table], written))
        add += [key for key in facts.then.keys if key.table == table]
    now, then = facts.views
    return Rebuild(
        tuple(pieces),
        children_first(facts.present, facts.now.keys),
        tuple(keys_to_drop(facts.present, facts.now.keys)),
        (*add, *facts.border_now),
        tuple(d for d in facts.scope.databases if (d, None) not in facts.now.ids),
        (),
        tuple(view for view in sorted(now) if then.get(view) != now[view]),
        tuple((view, text) for view, text in sorted(then.items()) if now.get(view) != text),
    )


def children_first(tables: Iterable[Key], keys: Iterable[Reference]) -> tuple[Key, ...]:
    """Tables in an order in which they can be dropped."""
    return tuple(reversed(parents_first(sorted(tables), keys)))


def keys_to_drop(tables: Iterable[Key], keys: Iterable[Reference]) -> list[Reference]:
    """The foreign keys that refer to a table that is dropped: of other tables, of its own, and
    between those that are dropped."""
    dropped = set(tables)
    return [key for key in keys if key.parent in dropped]
