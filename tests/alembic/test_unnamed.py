"""Policies that are declared without a name: a migration does not write the database's name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import util
from sqlalchemy import Column, Integer, MetaData, Table, create_engine

from sqlalchemy_matrixone_pitr import (
    DatabasePitr,
    PitrValidationError,
    TablePitr,
    declare_pitrs,
    get_pitrs,
)
from tests.alembic.conftest import Project
from tests.conftest import Server


def models(orders: str = "7d", convention: str | None = None) -> MetaData:
    metadata = MetaData(naming_convention=None if convention is None else {"pitr": convention})
    Table("orders", metadata, Column("id", Integer, primary_key=True), TablePitr(orders))
    declare_pitrs(metadata, DatabasePitr("1mo"))
    return metadata


@pytest.fixture
def both(server: Server, project: Project, tmp_path: Path) -> Iterator[tuple[Project, Project]]:
    """One migration directory and two databases of one account."""
    name = f"{project.prefix}prod"
    server.query(f"CREATE DATABASE {name}")
    where = tmp_path / "prod"
    where.mkdir()
    url = project.engine.url.set(database=name)
    engine = create_engine(url)
    prod = Project(where, url.render_as_string(hide_password=False), engine, project.prefix)
    prod.config.set_main_option("script_location", str(project.where))
    yield project, prod
    engine.dispose()
    server.query(f"DROP DATABASE {name}")


def names(project: Project) -> dict[str, str]:
    """The policies of a project's database."""
    return {
        pitr.name: str(pitr.range)
        for pitr in get_pitrs(project.engine, database_name=project.engine.url.database)
    }


@pytest.fixture
def cleaned(server: Server, both: tuple[Project, Project]) -> Iterator[tuple[Project, Project]]:
    """The names begin with no prefix of the test's."""
    yield both
    for project in both:
        for name in names(project):
            server.query(f"DROP PITR `{name}`")


@pytest.mark.parametrize("convention", [None, "%(database_name)s_%(level)s_policy"])
def test_written_on_one_database_and_run_on_two(
    cleaned: tuple[Project, Project], convention: str | None
) -> None:
    dev, prod = cleaned
    dev.declare(models(convention=convention))
    body = dev.autogenerate()
    flat = body.replace(" ", "").replace("\n", "").replace(",)", ")")
    naming = "" if convention is None else f',naming="{convention}"'
    assert f'op.create_pitr(None,"1mo",level="database"{naming})' in flat
    assert f'op.create_pitr(None,"7d",table="orders"{naming})' in flat
    assert f'op.drop_pitr(None,existing_range="7d",existing_table="orders"{naming})' in flat
    assert dev.prefix not in body
    dev.upgrade()
    dev.declare(models("14d", convention))
    body = dev.autogenerate()
    assert "op.alter_pitr(" in body
    flat = body.replace(" ", "").replace("\n", "")
    assert 'None,"14d",existing_range="7d",existing_table="orders"' in flat
    prod.declare(models("14d", convention))
    for project in (dev, prod):
        project.upgrade()
        project.check()
        database = project.engine.url.database
        expected = (
            {f"pitr_{database}": "1mo", f"pitr_{database}_orders": "14d"}
            if convention is None
            else {f"{database}_database_policy": "1mo", f"{database}_table_policy": "14d"}
        )
        assert names(project) == expected
    dev.downgrade()
    assert names(dev) == {}
    assert len(names(prod)) == 2
    prod.downgrade("-1")
    assert "7d" in names(prod).values()


@pytest.mark.usefixtures("renews")
def test_renewed_on_both(cleaned: tuple[Project, Project], server: Server) -> None:
    dev, prod = cleaned
    dev.declare(models())
    dev.autogenerate()
    for project in (dev, prod):
        project.declare(models())
        project.upgrade()
        server.query("ALTER TABLE orders ADD COLUMN c INT", project.engine.url.database)
        server.query("ALTER TABLE orders DROP COLUMN c", project.engine.url.database)
    assert 'op.renew_pitr(None, range="7d", table="orders", generation=2)' in dev.autogenerate()
    for project in (dev, prod):
        project.upgrade()
        project.check()
        assert f"pitr_{project.engine.url.database}_orders__g2" in names(project)


def test_dropped_where_it_is_not_declared_any_more(cleaned: tuple[Project, Project]) -> None:
    dev, prod = cleaned
    dev.declare(models())
    dev.autogenerate()
    dev.upgrade()
    prod.declare(models())
    prod.upgrade()
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer, primary_key=True))
    declare_pitrs(metadata, DatabasePitr("1mo"))
    for project in (dev, prod):
        project.config.attributes["pitr"] = {"drop_undeclared": True}
        project.declare(metadata)
    assert "op.drop_pitr(None, " in dev.autogenerate().replace("\n        ", "")
    for project in (dev, prod):
        project.upgrade()
        project.check()
        assert list(names(project).values()) == ["1mo"]


def test_a_migration_means_what_it_meant(cleaned: tuple[Project, Project]) -> None:
    """Whatever the models' naming convention has become."""
    dev, prod = cleaned
    before = models(convention="%(database_name)s_%(level)s_then")
    dev.declare(before)
    dev.autogenerate()
    dev.upgrade()
    prod.declare(models(convention="%(database_name)s_%(level)s_now"))
    prod.upgrade()
    database = prod.engine.url.database
    assert sorted(names(prod)) == [f"{database}_database_then", f"{database}_table_then"]
    prod.downgrade()
    assert names(prod) == {}
    prod.declare(MetaData())  # of several MetaData none counts
    prod.upgrade()
    assert sorted(names(prod)) == [f"{database}_database_then", f"{database}_table_then"]
    dev.declare(before)
    dev.check()


def test_each_of_two_metadata_has_its_own_convention(cleaned: tuple[Project, Project]) -> None:
    dev, prod = cleaned
    one, two = MetaData(naming_convention={"pitr": "%(table_name)s_one"}), MetaData()
    two.naming_convention = {"pitr": "%(table_name)s_two"}
    for metadata, name in ((one, "orders"), (two, "lines")):
        Table(name, metadata, Column("id", Integer, primary_key=True), TablePitr("7d"))
    for project, given in ((dev, [one, two]), (prod, [two, one])):
        project.config.attributes["metadata"] = given
    dev.autogenerate()
    for project in cleaned:
        project.upgrade()
        project.check()
        assert names(project) == {"orders_one": "7d", "lines_two": "7d"}
        project.downgrade()
        assert names(project) == {}


def test_a_script_says_the_name(cleaned: tuple[Project, Project]) -> None:
    dev, prod = cleaned
    dev.declare(models())
    dev.autogenerate()
    prod.declare(models())
    script = prod.script(lambda: prod.upgrade(sql=True))
    database = prod.engine.url.database
    assert f"CREATE PITR `pitr_{database}_orders` FOR TABLE `{database}` `orders`" in script
    assert f"CREATE PITR `pitr_{database}` FOR DATABASE `{database}`" in script


def test_an_account_needs_a_name(project: Project) -> None:
    project.revision(1, 'op.create_pitr(None, "7d", level="account")')
    with pytest.raises(PitrValidationError, match="needs a name at level 'account'"):
        project.upgrade()


@pytest.mark.parametrize("operation", ['op.alter_pitr(None, "7d")', "op.drop_pitr(None)"])
def test_without_a_name_the_target_is_needed(project: Project, operation: str) -> None:
    project.revision(1, operation)
    with pytest.raises(PitrValidationError, match="needs a target: existing_table="):
        project.upgrade()


def test_one_with_a_name_is_not_unnamed(project: Project) -> None:
    """Although it is the one that the convention would have made."""
    metadata = MetaData()
    name = f"pitr_{project.prefix}_orders"
    Table("orders", metadata, Column("id", Integer, primary_key=True), TablePitr("7d", name))
    project.declare(metadata)
    with pytest.raises(util.AutogenerateDiffsDetected):
        project.check()
    assert f'op.create_pitr("{name}", "7d", table="orders")' in project.autogenerate()
