"""Migrations while policies are held: the hold stays, and is no drift."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, text
from sqlalchemy.exc import SAWarning

import alembic_ext.guard
from sqlalchemy_matrixone_pitr import (
    Hold,
    PitrManager,
    PitrUnprotectedError,
    TablePitr,
    get_pitrs,
    hold,
    release,
)
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.conftest import Project

TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'


def ranges(project: Project) -> dict[str, str]:
    found = get_pitrs(project.engine, database_name=project.prefix)
    return {pitr.name.removeprefix(project.prefix): str(pitr.range) for pitr in found}


@pytest.fixture
def held(project: Project) -> Hold:
    project.revision(
        1, TABLE + 'op.create_pitr("{p}", "7d", table="orders")', 'op.drop_pitr("{p}")'
    )
    project.upgrade()
    return hold(project.engine, project.prefix, "an incident")


def declare(project: Project) -> None:
    metadata = MetaData()
    columns = Column("id", Integer, primary_key=True)
    Table("orders", metadata, columns, TablePitr("7d", project.prefix))
    project.declare(metadata)


def test_a_rebuild_renews_it_held(project: Project, held: Hold) -> None:
    declare(project)
    project.revision(2, 'op.add_column("orders", sa.Column("c", sa.Integer))')
    project.upgrade()
    assert ranges(project) == {"": "100y", "__g2": "100y"}
    project.revision(3, 'op.renew_pitr("{p}", range="7d", table="orders", generation=2)')
    project.upgrade()
    assert ranges(project) == {"": "100y", "__g2": "100y"}
    assert release(project.engine, held).notes == ()
    assert ranges(project) == {"": "7d", "__g2": "7d"}


def test_the_range_before_is_what_a_revision_means(project: Project, held: Hold) -> None:
    declare(project)
    assert project.autogenerate().count("pass") == 2
    project.revision(2, 'op.create_pitr("{p}", "7d", table="orders")')
    project.revision(3, 'op.alter_pitr("{p}", "7d")')
    project.upgrade("0003")
    assert ranges(project) == {"": "100y"}
    release(project.engine, held)


def test_another_range_is_warned_of(project: Project, held: Hold) -> None:
    project.revision(2, 'op.alter_pitr("{p}", "9d")')
    with pytest.warns(SAWarning, match="is held .*, and altered to 9d all the same"):
        project.upgrade()
    assert ranges(project) == {"": "9d"}
    (note,) = release(project.engine, held).notes
    assert "was given the range 9d since, and keeps it" in note


Guarded = Callable[[str], None]


@pytest.fixture
def guarded(project: Project, held: Hold) -> Iterator[Guarded]:
    """Require a range of the held policy's table, which has a row."""
    with project.engine.begin() as connection:
        connection.execute(text("INSERT INTO orders VALUES (1)"))
    yield guard_migrations
    alembic_ext.guard._required = None  # for the process; other tests drop what they like


def test_the_guard_counts_the_range_before(
    project: Project, held: Hold, guarded: Guarded, database: str
) -> None:
    """A drop is judged by the range that a release leaves: it may come in a minute."""
    guarded("8d")
    project.revision(2, 'op.drop_table("orders")')
    with pytest.raises(PitrUnprotectedError) as caught:
        project.upgrade()
    said = str(caught.value)
    assert f"({project.prefix} reaches back 7d only, when its hold is released)" in said
    advice = f"When the hold of {project.prefix} is released (mo-pitr holds lists it): "
    assert f"{advice}PitrManager(engine).alter('{project.prefix}', '8d')." in said
    PitrManager(project.engine).create_database_pitr(f"{project.prefix}_d", database, "9d")
    project.upgrade()
    assert ranges(project) == {"": "100y", "_d": "9d"}
    release(project.engine, held)


def test_the_guard_takes_a_held_policy_that_was_long_enough(
    project: Project, held: Hold, guarded: Guarded
) -> None:
    guarded("7d")
    project.revision(2, 'op.alter_pitr("{p}", "2h")\nop.drop_table("orders")')
    with pytest.raises(PitrUnprotectedError, match="reaches back 2h only"):
        project.upgrade()
    project.revision(2, 'op.drop_table("orders")\n# another')
    project.upgrade()
    assert "orders" not in project.tables()
    release(project.engine, held)


@pytest.mark.parametrize("change", ['op.drop_pitr("{p}")', 'op.alter_pitr("{p}", "2h")'])
def test_what_alone_keeps_a_committed_loss_stays_though_another_is_held(
    project: Project, held: Hold, guarded: Guarded, database: str, change: str
) -> None:
    """The other one reaches less far without its hold."""
    guarded("7d")
    PitrManager(project.engine).create_database_pitr(f"{project.prefix}_d", database, "2h")
    other = hold(project.engine, database, "another")
    project.revision(
        2, f'with op.get_context().autocommit_block():\n    op.drop_table("orders")\n{change}'
    )
    with pytest.raises(PitrUnprotectedError, match="is not sent: it alone could bring back"):
        project.upgrade()
    release(project.engine, other)
    release(project.engine, held)
