"""Migrations while policies are held: the hold stays, and is no drift."""

from __future__ import annotations

import pytest
from sqlalchemy import Column, Integer, MetaData, Table
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import Hold, TablePitr, get_pitrs, hold, release
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
