"""Filters as people have them for tables, on policies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, create_engine

from alembic_ext.filters import FilteredPitr, NoTable
from sqlalchemy_matrixone_pitr import DatabasePitr, Pitr, PitrManager, TablePitr, declare_pitrs
from tests.alembic.conftest import Project
from tests.conftest import Server

IncludeObject = Callable[[Any, Any, str, bool, Any], bool]


def declared(prefix: str, schema: str | None = None) -> MetaData:
    metadata = MetaData()
    column = Column("id", Integer, primary_key=True)
    Table("orders", metadata, column, TablePitr("7d", f"{prefix}_t"), schema=schema)
    declare_pitrs(metadata, DatabasePitr("7d", f"{prefix}_d", database_name=schema))
    return metadata


def in_default_schema(item: Any, name: Any, kind: str, reflected: bool, other: Any) -> bool:
    return (item.schema if hasattr(item, "schema") else item.table.schema) is None


def by_table(item: Any, name: Any, kind: str, reflected: bool, other: Any) -> bool:
    if kind == "table":
        return bool(item.schema is None)
    return item.table.schema is None and item.table.name not in ("theirs", "spatial_ref_sys")


def never_removed(item: Any, name: Any, kind: str, reflected: bool, other: Any) -> bool:
    return not (reflected and other is None)


@pytest.mark.parametrize("filter", [in_default_schema, by_table, never_removed])
def test_public_recipes_for_objects(project: Project, filter: IncludeObject) -> None:
    p = project.prefix
    project.declare(declared(p))
    project.options(include_object=filter)
    body = project.autogenerate()
    assert f'op.create_pitr("{p}_d", "7d", level="database")' in body
    assert f'op.create_pitr("{p}_t", "7d", table="orders")' in body
    project.upgrade()
    project.check()
    project.declare(MetaData())
    project.config.attributes["pitr"] = {"drop_undeclared": True}
    removed = project.autogenerate().count("op.drop_pitr(")
    assert removed == (0 if filter is never_removed else 2)


def test_public_recipes_for_names(project: Project) -> None:
    """Those of Alembic's documentation."""
    p = project.prefix
    metadata = declared(p)
    project.declare(metadata)

    def include_name(name: Any, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name is None
        if kind == "table":
            return parents["schema_qualified_table_name"] in metadata.tables
        return parents.get("schema_name") is None

    project.options(include_name=include_name)
    assert project.autogenerate().count("op.create_pitr(") == 2


def test_another_schema(project: Project, server: Server) -> None:
    """By its name; what a schema's filter leaves out is left out with its policies."""
    p = project.prefix
    server.query(f"CREATE DATABASE {p}_b")
    try:
        project.declare(declared(p, schema=f"{p}_b"))
        seen: dict[str, Any] = {}

        def include_object(item: Any, name: Any, kind: str, *rest: Any) -> bool:
            if kind == "pitr":
                seen[name.removeprefix(p)] = item
            return True

        def include_name(name: Any, kind: str, parents: Any) -> bool:
            if kind == "pitr":
                assert parents["schema_name"] == f"{p}_b"
            return kind != "schema" or name == f"{p}_b"

        names: dict[str, Any] = {"include_schemas": True, "include_name": include_name}
        project.options(include_object=include_object, **names)
        assert project.autogenerate().count("op.create_pitr(") == 2
        assert {name: (item.schema, item.table.name) for name, item in seen.items()} == {
            "_t": (f"{p}_b", "orders"),
            "_d": (f"{p}_b", None),
        }
        project.upgrade()
        project.declare(MetaData())
        project.options(include_name=lambda name, kind, parents: kind != "schema" or not name)
        assert "pitr" not in project.autogenerate("other")
    finally:
        server.query(f"DROP DATABASE {p}_b")


def test_a_schema_is_what_the_metadata_say(project: Project, server: Server) -> None:
    """Filters see undeclared policies too, before the map of a tenant's database."""
    p = project.prefix
    server.query(f"CREATE DATABASE {p}_b")
    try:
        project.template("translated")
        project.config.attributes["schema_map"] = {"app": f"{p}_b"}
        project.declare(declared(p, schema="app"))
        engine = create_engine(project.engine.url.set(database=f"{p}_b"))
        PitrManager(engine).create_database_pitr(f"{p}_other", f"{p}_b", 1)
        engine.dispose()
        seen: dict[str, Any] = {}

        def include_object(item: Any, name: Any, kind: str, *rest: Any) -> bool:
            if kind == "pitr":
                seen[name.removeprefix(p)] = item.schema
            return kind == "pitr"

        project.options(include_object=include_object)
        project.autogenerate()
        assert seen == {"_d": "app", "_other": "app"}
    finally:
        server.query(f"DROP DATABASE {p}_b")


def test_what_the_server_has_is_what_it_is_compared_to(project: Project) -> None:
    p = project.prefix
    project.declare(declared(p))
    project.autogenerate()
    project.upgrade()
    seen: dict[str, Any] = {}

    def include_object(item: Any, name: Any, kind: str, reflected: bool, other: Any) -> bool:
        if kind == "pitr":
            seen[name.removeprefix(p)] = (item, other)
        return True

    project.options(include_object=include_object)
    project.check()
    for item, other in seen.values():
        assert other.status is not None
        assert (other.schema, other.table) == (item.schema, item.table)


def test_an_object_that_is_a_policy_all_the_same() -> None:
    pitr = Pitr.account("nightly", "7d")
    shown = FilteredPitr(pitr, NoTable(None))
    assert (shown.name, shown.schema, shown.table.name, shown.info) == ("nightly", None, None, {})
    assert shown.with_range("9d") == pitr.with_range("9d")
