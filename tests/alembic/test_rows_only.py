"""Autogenerate, guard and restore points do not believe that a table-level policy keeps indexes."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, UniqueConstraint

import alembic_ext.guard
from alembic_ext.guard import _Keeping
from alembic_ext.points import _Keeping as _Kept
from sqlalchemy_matrixone_pitr import (
    DatabasePitr,
    Pitr,
    PitrManager,
    PitrStatus,
    PitrUnprotectedError,
    TablePitr,
    declare_pitrs,
)
from sqlalchemy_matrixone_pitr.alembic import guard_migrations, restore_point
from sqlalchemy_matrixone_pitr.catalog import CatalogObject
from sqlalchemy_matrixone_pitr.coverage.inventory import known_of_state
from sqlalchemy_matrixone_pitr.extent import Extent, Parts
from sqlalchemy_matrixone_pitr.model import PitrRange
from sqlalchemy_matrixone_pitr.moment import Moment
from sqlalchemy_matrixone_pitr.status import ServerState
from tests.alembic.conftest import Project
from tests.clock import wait

TABLES = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), '
    'sa.Column("n", sa.Integer))\n'
    'op.create_index("ux_n", "orders", ["n"], unique=True)\n'
    'op.create_table("plain", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.execute("INSERT INTO orders VALUES (1, 2)")\n'
    'op.execute("INSERT INTO plain VALUES (1)")'
)
INDEXED, PARTITIONED = Parts(("ux_n",)), Parts(partitioned=True)


def models(prefix: str) -> MetaData:
    metadata = MetaData()
    columns = Column("id", Integer, primary_key=True), Column("n", Integer)
    key = UniqueConstraint("n", name="uq_n")
    Table("orders", metadata, *columns, key, TablePitr("7d", prefix))
    return metadata


def test_autogenerate_and_check_warn(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "alembic")
    project.declare(models(project.prefix))
    assert "rows only" not in project.autogenerate()
    assert f"rows only: {project.prefix}.orders (uq_n): a table-level policy keeps" in caplog.text
    project.upgrade()
    caplog.clear()
    project.check()
    assert f"rows only: {project.prefix}.orders (" in caplog.text
    whole = models(project.prefix)
    declare_pitrs(whole, DatabasePitr("1d", f"{project.prefix}_day"))
    project.declare(whole)
    caplog.clear()
    project.autogenerate("whole")
    assert "rows only" not in caplog.text


# -- the guard -------------------------------------------------------------------------------------


@pytest.fixture
def guarded(project: Project) -> Iterator[Project]:
    project.revision(1, TABLES)
    project.upgrade()
    guard_migrations("1d")
    yield project
    alembic_ext.guard._required = None


def test_the_guard_warns_of_rows_alone(
    guarded: Project, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    manager = PitrManager(guarded.engine)
    manager.create_table_pitr(f"{guarded.prefix}_o", database, "orders", 7)
    manager.create_table_pitr(f"{guarded.prefix}_p", database, "plain", 7)
    guarded.revision(2, 'op.drop_table("plain")\nop.drop_table("orders")')
    guarded.upgrade()
    [warning] = [one.message for one in caplog.records if "keeps the rows" in one.message]
    assert warning == (
        f"drop_table('orders'): {guarded.prefix}_o keeps the rows of table {database}.orders "
        "alone, and none of its indexes (ux_n): a database-level policy keeps both"
    )


def test_the_guard_prefers_the_database_level(
    guarded: Project, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A policy that covers all of it is not dropped for one that covers the rows."""
    manager = PitrManager(guarded.engine)
    manager.create_table_pitr(f"{guarded.prefix}_o", database, "orders", 7)
    manager.create_database_pitr(f"{guarded.prefix}_d", database, 7)
    guarded.revision(
        2,
        'with op.get_context().autocommit_block(): op.drop_table("orders")\nop.drop_pitr("{p}_d")',
    )
    with pytest.raises(PitrUnprotectedError, match="it alone could bring back"):
        guarded.upgrade()
    assert "keeps the rows" not in caplog.text


def test_the_guard_advises_the_database_level(guarded: Project, database: str) -> None:
    guarded.revision(2, 'op.drop_table("orders")')
    with pytest.raises(PitrUnprotectedError) as caught:
        guarded.upgrade()
    assert f"op.create_pitr('name', '1d', database={database!r})" in str(caught.value)
    guarded.revision(2, 'op.drop_table("plain")')
    with pytest.raises(PitrUnprotectedError, match="table='plain'"):
        guarded.upgrade()


week = Pitr.table("week", "orders", "7d", database_name="shop").with_status(PitrStatus.ACTIVE)
day = Pitr.database("day", "7d", database_name="shop").with_status(PitrStatus.ACTIVE)


NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)


def listed(pitr: Pitr) -> Pitr:
    return Pitr.from_server(
        pitr.name,
        pitr.level.value,
        pitr.range,
        account_name=None,
        database_name=pitr.database_name,
        table_name=pitr.table_name,
        created_time=NOW - dt.timedelta(days=2),
        modified_time=NOW - dt.timedelta(days=2),
    ).with_status(PitrStatus.ACTIVE)


def state_of(version: tuple[int, int, int], pitrs: list[Pitr]) -> ServerState:
    made = NOW - dt.timedelta(days=9)
    objects: dict[tuple[str, str | None], CatalogObject] = {
        ("shop", None): CatalogObject(1, made, 1),
        ("shop", "orders"): CatalogObject(2, made, 2),
    }
    read = [listed(pitr) for pitr in pitrs]
    return ServerState(version, "sys", None, NOW, read, frozenset(), {}, objects)


@pytest.mark.parametrize(
    ("version", "parts", "pitrs", "enough"),
    [
        ((4, 2, 0), PARTITIONED, [week], set()),
        ((3, 0, 9), PARTITIONED, [week], {"week"}),
        ((4, 2, 0), PARTITIONED, [week, day], {"day"}),
        ((4, 2, 0), INDEXED, [week], {"week"}),
        ((4, 2, 0), INDEXED, [week, day], {"day"}),
        ((4, 2, 0), Parts(), [week, day], {"week", "day"}),
    ],
)
def test_what_is_enough(
    version: tuple[int, int, int], parts: Parts, pitrs: list[Pitr], enough: set[str]
) -> None:
    keeping = _Keeping(("shop", "orders"), parts, state_of(version, pitrs))
    left: dict[str, Pitr | None] = {pitr.name: listed(pitr) for pitr in keeping.covering(pitrs)}
    assert keeping.enough(left, PitrRange.parse("1d")) == enough
    assert keeping.by(None) is Extent.NOTHING


# -- restore points --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "pitrs", "chosen"),
    [
        (Parts(), [week, day], "week"),
        (INDEXED, [week, day], "day"),
        (INDEXED, [week], "week"),
        (PARTITIONED, [week, day], "day"),
        (PARTITIONED, [week], None),
    ],
)
def test_which_policy_a_restore_point_takes(
    parts: Parts, pitrs: list[Pitr], chosen: str | None
) -> None:
    known = known_of_state(state_of((4, 2, 0), pitrs), map(listed, pitrs), {})
    moment = Moment.of(NOW - dt.timedelta(days=1))
    found = _Kept(known, moment, known.ids).reaching(("shop", "orders"), parts)
    assert (found and found.name) == chosen


def test_a_restore_point_says_what_comes_back(project: Project, database: str) -> None:
    project.revision(1, TABLES)
    project.revision(2, 'op.drop_table("plain")\nop.drop_table("orders")')
    project.upgrade("0001")
    manager = PitrManager(project.engine)
    manager.create_table_pitr(f"{project.prefix}_o", database, "orders", 7)
    manager.create_table_pitr(f"{project.prefix}_p", database, "plain", 7)
    _a_second_later(project)
    project.upgrade()
    point = restore_point(project.engine, "0002")
    assert len(point.statements) == 2
    assert [warning for warning in point.warnings if "rows only" in warning] == [
        f"{database}.orders: rows only: {project.prefix}_o, a table-level policy, does not keep "
        "its indexes (ux_n): drop them after the RESTORE, and add them again"
    ]
    project.downgrade("-1")


def test_a_restore_point_prefers_the_database_level(project: Project, database: str) -> None:
    project.revision(1, TABLES)
    project.revision(2, 'op.drop_table("plain")\nop.drop_table("orders")')
    project.upgrade("0001")
    manager = PitrManager(project.engine)
    manager.create_table_pitr(f"{project.prefix}_o", database, "orders", 7)
    manager.create_table_pitr(f"{project.prefix}_p", database, "plain", 7)
    manager.create_database_pitr(f"{project.prefix}_d", database, 1)
    _a_second_later(project)
    project.upgrade()
    point = restore_point(project.engine, "0002")
    orders, plain = point.statements
    assert f"FROM PITR `{project.prefix}_d`" in orders
    assert f"FROM PITR `{project.prefix}_p`" in plain
    assert point.warnings == []


def _a_second_later(project: Project) -> None:
    """The server tells when policies were made in whole seconds."""
    wait(project.engine, 1.6)
