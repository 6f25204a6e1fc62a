"""``when``: find the moment at which an answer changed, or a row came or went."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import click

from .arguments import Seconds, connected, json_option
from .console import Console
from .errors import CliError
from .moments import (
    Moments,
    allow_unprotected,
    command_for,
    counted_reads,
    described,
    moment_option,
)
from .sqlparts import at_a_moment, tables_of
from .targets import table_key
from .values import dotted, for_json, limit_option, shown_value

if TYPE_CHECKING:
    from sqlalchemy import SelectBase, TextClause
    from sqlalchemy.engine import Engine

    from ..catalog import Key
    from ..moment import Moment
    from ..past.changes import Change

INTEGERS: Final = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")


@click.command(
    epilog="""\b
    Example:
      mo-pitr when orders --row 42
      mo-pitr when orders "SELECT count(*) FROM orders WHERE item = 'lamp'" \\
          --since '2h ago'
    """
)
@click.argument("table")
@click.argument("select", required=False)
@click.option(
    "--row",
    metavar="KEY",
    help="The row with this primary key; the values of several columns with a comma between them.",
)
@moment_option("--since", "Where to begin.", default="1h ago", show_default=True)
@moment_option("--until", "Where to end.  [default: now]")
@click.option(
    "--resolution",
    type=Seconds(0.000001, None),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="How exactly a change is found.",
)
@click.option(
    "--samples",
    type=click.IntRange(2, 10_000),
    default=32,
    show_default=True,
    help="Moments that are read first: what flips and flips back between two is not seen.",
)
@click.option("--latest", is_flag=True, help="Only the latest change, with fewer reads.")
@limit_option(20, "changes, the latest,")
@allow_unprotected
@json_option
@connected
def when(
    engine: Engine,
    table: str,
    select: str | None,
    row: str | None,
    since: str,
    until: str | None,
    resolution: float,
    samples: int,
    latest: bool,
    limit: int,
    allow_unprotected: bool,
    as_json: bool,
) -> None:
    """Find when the answer of a SELECT changed, or when a row came and went.

    SELECT gives one value, such as count(*), and names tables without a moment. TABLE is one of
    them.
    """
    from ..past.changes import find_change, find_changes

    if (select is None) == (row is None):
        raise click.UsageError(
            f'give a SELECT or --row KEY: "SELECT count(*) FROM {table}", or --row 42'
        )
    moments = Moments(engine)
    start = moments.of("--since", since)
    end = moments.now if until is None else moments.of("--until", until)
    key = table_key(engine, table)
    statement: SelectBase | TextClause
    tables: Sequence[Key]
    if row is not None:
        statement, tables = _count_of_row(engine, key, row, start), [key]
    else:
        assert select is not None
        statement, tables = _select(engine, key, select, start)
    options: Any = {
        "since": start,
        "until": end,
        "resolution": dt.timedelta(seconds=resolution),
        "samples": samples,
        "tables": [".".join(one) for one in tables],
        "allow_unprotected": allow_unprotected,
    }
    with counted_reads(engine, f"reading {dotted(key)}"):
        if latest:
            found = [change] if (change := find_change(engine, statement, **options)) else []
        else:
            found = find_changes(engine, statement, **options)
    if as_json:
        _when_as_json(key, start, end, found)
    else:
        _show_changes(key, start, end, found[-limit:], len(found), samples, is_row=row is not None)


def _when_as_json(key: Key, start: Moment, end: Moment, found: Sequence[Change]) -> None:
    def side(moment: Moment, value: Any) -> dict[str, object]:
        from ..past.changes import NotThere

        there = value is not NotThere()
        return {
            **described(moment),
            "there": there,
            "value": for_json(value) if there else None,
        }

    Console().json(
        {
            "format_version": 1,
            "table": dotted(key),
            "since": described(start),
            "until": described(end),
            "changes": [
                {
                    "before": side(change.before, change.value_before),
                    "after": side(change.after, change.value_after),
                }
                for change in found
            ],
        }
    )


def _show_changes(
    key: Key,
    start: Moment,
    end: Moment,
    shown: Sequence[Change],
    total: int,
    samples: int,
    *,
    is_row: bool,
) -> None:
    console = Console()
    if not shown:
        what = "the row neither came nor went" if is_row else "the answer did not change"
        console.line(
            f"From {start} to {end} {what}, at {samples} moments. What flips and flips back "
            "between two of them is not seen: give more --samples, or another --since."
        )
        return
    if total > len(shown):
        console.line(f"{total - len(shown)} more, earlier (--limit)")
    value = _presence if is_row else _of_answer
    console.table(
        ("BEFORE", "AFTER", "WAS", "BECAME"),
        [
            (
                str(change.before),
                str(change.after),
                value(change.value_before),
                value(change.value_after),
            )
            for change in shown
        ],
        styles={"not there": "red", "there": "green", "no table": "red"},
    )
    console.line("")
    console.as_it_is(f"What changed since: {command_for('diff', dotted(key), shown[-1].before)}")


def _presence(count: Any) -> str:
    from ..past.changes import NotThere

    if count is NotThere():
        return "no table"
    return "there" if count else "not there"


def _of_answer(value: Any) -> str:
    from ..past.changes import NotThere

    return "no table" if value is NotThere() else shown_value(value)


def _select(
    engine: Engine, key: Key, select: str, start: Moment
) -> tuple[TextClause, Sequence[Key]]:
    """A SELECT that says when it reads, and the tables that it reads."""
    from sqlalchemy import text

    from ..coverage.reading import ask
    from ..past.changes import MOMENT_PARAMETER

    read = tables_of(select)
    keys = {table: table_key(engine, table.name) for table in read}
    if key not in keys.values():
        names = ", ".join(sorted({dotted(one) for one in keys.values()}))
        raise click.UsageError(f"the SELECT reads {names}, and not {dotted(key)}")
    indexed = {
        (verdict.database_name, verdict.table_name)
        for verdict in ask(engine, list(keys.values()), start)
        if verdict.by and verdict.indexes
    }
    made = at_a_moment(select, read, MOMENT_PARAMETER, lambda table: keys[table] not in indexed)
    return text(made), list(dict.fromkeys(keys.values()))


def _count_of_row(engine: Engine, key: Key, row: str, start: Moment) -> SelectBase:
    """A SELECT that counts the row with a primary key: 1 or 0."""
    from sqlalchemy import func, select

    table = _keyed_table(engine, key, start)
    columns = list(table.columns)
    values = [row] if len(columns) == 1 else [part.strip() for part in row.split(",")]
    if len(values) != len(columns):
        names = ", ".join(column.name for column in columns)
        raise click.UsageError(
            f"the primary key of {dotted(key)} is {names}: give --row {len(columns)} values, with "
            f"a comma between them, not {row!r}"
        )
    conditions = [
        column == _key_value(column, value) for column, value in zip(columns, values, strict=True)
    ]
    return select(func.count()).select_from(table).where(*conditions)


def _key_value(column: Any, value: str) -> int | str:
    from sqlalchemy import Integer

    if not isinstance(column.type, Integer):
        return value
    try:
        return int(value)
    except ValueError:
        raise click.UsageError(
            f"--row {value!r} is no value of {column.name}, an integer"
        ) from None


def _keyed_table(engine: Engine, key: Key, start: Moment) -> Any:
    """A table with the columns of its primary key, now; of one that is gone, at the start."""
    from sqlalchemy import BigInteger, Column, MetaData, Table
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.sql.elements import quoted_name
    from sqlalchemy.types import NullType

    from .. import server
    from ..catalog import read_shape
    from ..connections import roll_back, side_connection
    from ..errors import is_not_there

    shape = None
    with side_connection(engine) as side:
        version = server.require_matrixone(side)
        for at in (None, start):
            if shape is None:
                side.rollback()
                try:
                    shape = read_shape(side, version, key, at=at)
                except DBAPIError as error:
                    if at is None or not is_not_there(error):
                        raise
                    roll_back(side)
    if shape is None:
        raise CliError(
            f"{dotted(key)} is there neither now nor at {start}: choose a --since at which it was"
        )
    if not shape.primary:
        raise CliError(
            f"{dotted(key)} has no primary key, so --row names none: give a SELECT, such as "
            f'"SELECT count(*) FROM {key[1]} WHERE ..."'
        )
    columns = [column for name in shape.primary if (column := shape.column(name)) is not None]
    return Table(
        quoted_name(key[1], True),
        MetaData(),
        *(
            Column(
                quoted_name(column.name, True),
                BigInteger() if column.type.partition(" ")[0] in INTEGERS else NullType(),
            )
            for column in columns
        ),
        schema=quoted_name(key[0], True),
    )
