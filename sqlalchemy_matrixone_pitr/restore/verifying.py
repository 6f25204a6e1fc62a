"""Whether a restored table is whole: its rows, and its indexes; and repair of broken indexes.

A restore from a table's own policy may bring indexes whose history was collected: a look-up finds
nothing, a UNIQUE key accepts duplicates. To DROP and ADD such an index makes it again.

Source: docs/server.md, Garbage collection.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from ..catalog import IndexShape, Key, indexes_of, object_ids, rows_in_partitions
from ..connections import TextTransaction, roll_back, run_text
from ..errors import PitrRestoreError
from ..names import back_quoted

_SAMPLED: Final = 5
"""So many rows are looked up by each index."""

_ALL: Final = 18446744073709551615


def count_rows(connection: Connection, read: str) -> int:
    """The rows of a table, counted by a scan.

    A plain count(*) of 4.2.0 has the deleted ones, too, of what the transaction has cloned
    (docs/server.md, Clones).

    :param read: the table as in a FROM clause.
    """
    scanned = f"SELECT 1 FROM {read} LIMIT {_ALL}"
    return int(run_text(connection, f"SELECT count(*) FROM ({scanned}) AS x").scalar_one())


def check_rows(
    connection: Connection, table: Key, source: str, *, exactly: bool
) -> tuple[int, int]:
    """Count the rows of a table, and those that it had.

    :raises PitrRestoreError: there are fewer.
    """
    rows = count_rows(connection, back_quoted(*table))
    then = count_rows(connection, source)
    if rows < then:
        rows = max(rows, rows_in_partitions(connection, table))
    if rows < then or (exactly and rows > then):
        raise PitrRestoreError(
            f"{'.'.join(table)} has {rows:,} rows, and had {then:,}: it is not restored"
        )
    return rows, then


class Verified(NamedTuple):
    """Findings about a restored table.

    :ivar rows: its rows now; and ``then``: those it had.
    :ivar repaired: the indexes that were broken and are made again; ``broken``: those that still
        are.
    """

    rows: int
    then: int
    repaired: tuple[str, ...]
    broken: tuple[str, ...]


def check_targets(
    connection: Connection, restored: Collection[Key], before: Collection[Key]
) -> None:
    """Check that the restored tables are there, and of those before no other.

    :raises PitrRestoreError: they are not.
    """
    there = object_ids(connection, [*restored, *before])
    missing = sorted(set(restored) - there.keys())
    if missing:
        raise PitrRestoreError(f"not there: {', '.join(map('.'.join, missing))}")
    stayed = sorted(table for table in set(before) - set(restored) if table in there)
    if stayed:
        raise PitrRestoreError(f"still there: {', '.join(map('.'.join, stayed))}")


def verify_table(
    engine: Engine,
    connection: Connection,
    table: Key,
    source: str,
    indexes: list[IndexShape],
) -> Verified:
    """Count a restored table's rows, and make its broken indexes again.

    :param source: the state that it was restored to, as in a FROM clause.
    :raises PitrRestoreError: rows are missing.
    """
    rows, then = check_rows(connection, table, source, exactly=False)
    repaired = []
    for index in list(broken_indexes(connection, table, indexes)):
        repair_index(engine, connection, table, index)
        repaired.append(index.name)
    still = indexes_of(connection, [table]).get(table, []) if repaired else []
    broken = [index.name for index in broken_indexes(connection, table, still)]
    return Verified(rows, then, tuple(repaired), tuple(broken))


def broken_indexes(
    connection: Connection, table: Key, indexes: list[IndexShape]
) -> Iterator[IndexShape]:
    """The indexes that do not find what a full scan finds.

    Where the server says in which hidden table an index is, its entries are counted, too.
    """
    name = _quoted(*table)
    scan = f"(SELECT * FROM {name} LIMIT {_ALL}) s"  # behind a LIMIT no index is used
    for index in indexes:
        full = " AND ".join(f"{back_quoted(column)} IS NOT NULL" for column in index.columns)
        if index.hidden_table and not _has_all_entries(connection, table, index, full):
            yield index
            continue
        columns = ", ".join(map(_quoted, index.columns))
        filled = full.replace("%", "%%")
        sample = _rows(connection, f"SELECT {columns} FROM {scan} WHERE {filled} LIMIT {_SAMPLED}")
        for values in sample:
            where = " AND ".join(f"{_quoted(column)} = %s" for column in index.columns)
            counts = {
                int(_rows(connection, f"SELECT count(*) FROM {read} WHERE {where}", values)[0][0])
                for read in (name, scan)
            }
            if len(counts) > 1:
                yield index
                break


def _has_all_entries(connection: Connection, table: Key, index: IndexShape, full: str) -> bool:
    """Whether an index has an entry for each row: a UNIQUE one, of those without a NULL."""
    where = f" WHERE {full}" if index.unique else ""
    try:
        entries = count_rows(connection, back_quoted(table[0], index.hidden_table))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        roll_back(connection)
        return True  # not to be counted: the look-ups tell
    return entries == count_rows(connection, f"{back_quoted(*table)}{where}")


def repair_index(engine: Engine, connection: Connection, table: Key, index: IndexShape) -> None:
    """Make an index again, by DROP and ADD in one transaction.

    :raises PitrRestoreError: the server refused, or its definition is not understood.
    """
    name = _quoted(*table)
    definition = str(_rows(connection, f"SHOW CREATE TABLE {name}")[0][1])
    quoted = re.escape(back_quoted(index.name))
    found = re.search(rf"^  ((?:UNIQUE )?KEY {quoted} .*?),?$", definition, re.MULTILINE)
    if found is None:
        raise PitrRestoreError(
            f"index {index.name} of {'.'.join(table)} is broken, and its definition is not "
            f"understood: drop it, and add it again. {definition}"
        )
    roll_back(connection)
    try:
        with TextTransaction().on(engine, connection):
            for change in (f"DROP INDEX {back_quoted(index.name)}", f"ADD {found[1]}"):
                connection.exec_driver_sql(f"ALTER TABLE {name} {change.replace('%', '%%')}")
    except DBAPIError as error:
        raise PitrRestoreError(
            f"index {index.name} of {'.'.join(table)} is broken, and could not be made again: "
            f"{error.orig}. Drop it, look for duplicates, and add it again",
            statement=error.statement,
            orig=error.orig,
        ) from error


def _quoted(*names: str) -> str:
    """Names as the driver takes them, to which a percent sign begins a value."""
    return back_quoted(*names).replace("%", "%%")


def _rows(connection: Connection, statement: str, values: tuple[Any, ...] = ()) -> list[Any]:
    return list(connection.exec_driver_sql(statement, tuple(values) or None))
