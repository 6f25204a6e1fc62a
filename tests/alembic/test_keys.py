"""Foreign keys and UNIQUE keys in autogenerate, on URLs of ours and of SQLAlchemy's own."""

from __future__ import annotations

import re

import alembic
import pytest
from alembic.operations.ops import DropTableOp, MigrateOperation
from alembic.util import CommandError
from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    inspect,
    text,
)
from sqlalchemy.schema import SchemaItem

from alembic_ext.order import in_order
from alembic_ext.unnamed import DropUnnamedConstraintOp
from tests.alembic.conftest import Project
from tests.conftest import Server


def models(*items: SchemaItem, naming: dict[str, str] | None = None) -> MetaData:
    """Two tables; the items are the second one's."""
    metadata = MetaData(naming_convention=naming)
    Table(
        "parent",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("code", String(20)),
        UniqueConstraint("code", name="uq_code"),
    )
    Table(
        "child",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("p", Integer),
        Column("q", Integer),
        *items,
    )
    return metadata


def to_parent(column: str = "p", **keywords: str) -> ForeignKeyConstraint:
    return ForeignKeyConstraint([column], ["parent.id"], **keywords)  # type: ignore[arg-type]


def all_kinds(server: Server) -> MetaData:
    """A table for each way to declare a key."""
    metadata = models()
    kinds: dict[str, list[SchemaItem]] = {
        "unnamed": [to_parent()],
        "named": [to_parent(name="fk_p")],
        "cascade": [to_parent(ondelete="CASCADE"), to_parent("q", onupdate="CASCADE")],
        "restricted": [to_parent(ondelete="RESTRICT", onupdate="restrict")],
        "no_action": [to_parent(ondelete="NO ACTION"), to_parent("q", onupdate="no action")],
        "set_null": [to_parent(ondelete="SET NULL")],
        "to_itself": [ForeignKeyConstraint(["p"], ["to_itself.id"])],
        "unique": [UniqueConstraint("p", name="uq_p"), UniqueConstraint("q", "p", name="uq_q_p")],
        "unnamed_unique": [UniqueConstraint("p"), UniqueConstraint("p", "q")],
        "twice": [UniqueConstraint("p", name="uq_p"), Index("ux_p", "p", unique=True)],
        "two": [UniqueConstraint("p", name="uq_1"), UniqueConstraint("p", "q", name="uq_2")],
        "called_alike": [UniqueConstraint("p", name="q"), UniqueConstraint("q", name="p")],
        "capitals": [
            UniqueConstraint("p", name="UQ_p"),
            Index("IX_q", "q"),
            to_parent(name="Fk_P"),
        ],
        "indexed": [Index("ix_p", "p"), Index("ux_q", "q", unique=True)],
    }
    if server.version < (3,):  # SHOW CREATE TABLE fails
        del kinds["set_null"], kinds["no_action"]
    for name, items in kinds.items():
        columns = Column("p", Integer), Column("q", Integer)
        Table(name, metadata, Column("id", Integer, primary_key=True), *columns, *items)
    return metadata


@pytest.mark.all_combinations
@pytest.mark.parametrize("made_by", ["create_all", "migration"])
def test_check_is_clean(project: Project, server: Server, made_by: str) -> None:
    metadata = all_kinds(server)
    project.declare(metadata)
    if made_by == "create_all":
        metadata.create_all(project.engine)
    else:
        project.autogenerate()
        project.upgrade()
    project.check()


CONVENTION = {
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
}


def test_check_is_clean_with_a_naming_convention(project: Project) -> None:
    project.declare(models(to_parent(), UniqueConstraint("q"), naming=CONVENTION))
    written = project.autogenerate()
    assert "name=op.f('fk_child_p')" in written
    project.upgrade()
    project.check()
    project.declare(models(naming=CONVENTION))
    assert "drop_unnamed" not in project.autogenerate("gone")
    project.upgrade()
    project.check()


def test_a_changed_rule_is_still_a_difference(project: Project) -> None:
    models(to_parent(ondelete="CASCADE")).create_all(project.engine)
    project.declare(models(to_parent()))
    written = project.autogenerate()
    assert 'op.drop_unnamed_constraint(\n        "child", ["p"]' in written
    assert "op.create_foreign_key(None, 'child', 'parent', ['p'], ['id'])" in written
    assert "op.create_foreign_key(None, 'child', 'parent', ['p'], ['id'], ondelete='CASCADE')" in (
        written
    )
    project.upgrade()
    project.check()


def test_another_column_is_still_a_difference(project: Project) -> None:
    models(UniqueConstraint("p", name="uq_x")).create_all(project.engine)
    project.declare(models(UniqueConstraint("q", name="uq_x")))
    project.autogenerate()
    project.upgrade()
    project.check()
    unique = inspect(project.engine).get_unique_constraints("child")
    assert [key["column_names"] for key in unique] == [["q"]]


def test_another_name_is_a_difference_where_the_server_knows_it(project: Project) -> None:
    models(Index("ux_old", "p", unique=True)).create_all(project.engine)
    project.declare(models(Index("ux_new", "p", unique=True)))
    project.autogenerate()
    project.upgrade()
    project.check()
    assert [key["name"] for key in inspect(project.engine).get_indexes("child")] == ["ux_new"]


def test_unnamed_foreign_keys_go_and_come_back(project: Project) -> None:
    """In any database: nowhere is the server's name written."""
    project.declare(models(to_parent(), to_parent("q", name="fk_q")))
    project.autogenerate("both")
    project.upgrade()
    project.declare(models())
    written = project.autogenerate("none")
    call = 'op.drop_unnamed_constraint(\n        "child", ["p"], type_="foreignkey", ' + (
        'referent_table="parent"\n    )'
    )
    assert call in written
    assert "op.drop_constraint(op.f('fk_q'), 'child', type_='foreignkey')" in written
    assert "op.create_foreign_key(None, 'child', 'parent', ['p'], ['id'])" in written
    project.upgrade()
    project.check()
    assert inspect(project.engine).get_foreign_keys("child") == []
    project.downgrade("-1")
    assert len(inspect(project.engine).get_foreign_keys("child")) == 2
    project.downgrade()
    project.upgrade()
    project.check()


def test_an_unnamed_key_that_is_added_can_be_taken_back(project: Project) -> None:
    """Alembic writes drop_constraint(None), which no database takes."""
    project.declare(models())
    project.autogenerate("none")
    project.upgrade()
    project.declare(models(to_parent(), UniqueConstraint("q", "p")))
    written = project.autogenerate("both")
    assert "op.create_foreign_key(None, 'child'" in written
    assert "op.create_unique_constraint(None, 'child', ['q', 'p'])" in written
    assert 'op.drop_unnamed_constraint("child", ["q", "p"], type_="unique")' in written
    assert "op.drop_constraint(None" not in written
    project.upgrade()
    project.check()
    project.downgrade("-1")
    inspector = inspect(project.engine)
    assert inspector.get_foreign_keys("child") == []
    assert inspector.get_indexes("child") == []


def test_a_table_that_goes_comes_back_without_made_up_names(project: Project) -> None:
    project.declare(models(to_parent(), to_parent("q", name="fk_q", ondelete="CASCADE")))
    project.autogenerate("two")
    project.upgrade()
    only_parent = models()
    only_parent.remove(only_parent.tables["child"])
    project.declare(only_parent)
    written = project.autogenerate("one")
    assert "sa.ForeignKeyConstraint(['p'], ['parent.id']" in written
    assert "RESTRICT" not in written
    assert written.count("name=op.f(") == written.count("name=op.f('fk_q')")
    project.upgrade()
    project.downgrade("-1")
    for script in (project.where / "versions").glob("*_one.py"):
        script.unlink()
    project.declare(models(to_parent(), to_parent("q", name="fk_q", ondelete="CASCADE")))
    project.check()


def test_tables_are_dropped_after_what_refers_to_them(project: Project) -> None:
    """Alembic writes them in any order."""
    metadata = models(to_parent(), Index("ix_q", "q"))
    for number in range(6):
        key = ForeignKeyConstraint(["up"], [f"t{number - 1}.id" if number else "child.id"])
        columns = Column("id", Integer, primary_key=True), Column("up", Integer, index=True)
        Table(f"t{number}", metadata, *columns, key)
    project.declare(metadata)
    project.autogenerate("all")
    project.upgrade()
    project.declare(MetaData())
    written = project.autogenerate("none").split("def downgrade")[0]
    dropped = re.findall(r"op.drop_table\('(\w+)'\)", written)
    assert dropped == ["t5", "t4", "t3", "t2", "t1", "t0", "child", "parent"]
    project.upgrade()
    project.downgrade("-1")
    assert len(project.tables()) == 8 + 1 + 1
    project.upgrade()


@pytest.mark.skipif(
    tuple(map(int, alembic.__version__.split(".")[:3])) < (1, 18, 3),
    reason="Alembic before 1.18.3 cannot reflect a key to a table that is not declared",
)
def test_a_table_is_dropped_after_the_key_that_referred_to_it(project: Project) -> None:
    project.declare(models(to_parent(), to_parent("q", name="fk_q")))
    project.autogenerate("keys")
    project.upgrade()
    without = models()
    without.remove(without.tables["parent"])
    project.declare(without)
    project.autogenerate("none")
    project.upgrade()
    project.check()
    project.downgrade("-1")
    assert len(inspect(project.engine).get_foreign_keys("child")) == 2


def test_two_databases(project: Project) -> None:
    """A key to a table of another database."""
    other = f"{project.prefix}_other"
    with project.engine.begin() as conn:
        conn.execute(text(f"CREATE DATABASE {other}"))
        conn.execute(text(f"CREATE TABLE {other}.far (id INT PRIMARY KEY)"))
    try:
        metadata = models(ForeignKeyConstraint(["p"], [f"{other}.far.id"]))
        Table("far", metadata, Column("id", Integer, primary_key=True), schema=other)
        metadata.create_all(project.engine)
        project.declare(metadata)
        project.options(
            include_schemas=True,
            include_name=lambda name, kind, parents: kind != "schema" or name in (None, other),
        )
        project.check()
    finally:
        with project.engine.begin() as conn:
            conn.execute(text("DROP TABLE child"))
            conn.execute(text(f"DROP DATABASE {other}"))


# -- the operation ---------------------------------------------------------------------------------


def test_a_key_that_is_not_there(project: Project) -> None:
    models().create_all(project.engine)
    project.revision(1, 'op.drop_unnamed_constraint("child", ["p"], type_="foreignkey")')
    with pytest.raises(CommandError, match=r"the foreign key \(p\) of table child is not there"):
        project.upgrade()


def test_a_key_that_could_be_two(project: Project) -> None:
    models(UniqueConstraint("p"), Index("ux_p", "p", unique=True)).create_all(project.engine)
    project.revision(1, 'op.drop_unnamed_constraint("child", ["p"], type_="unique")')
    with pytest.raises(CommandError, match=r"could be .*: say which one"):
        project.upgrade()


def test_the_referred_table_tells_two_keys_apart(project: Project) -> None:
    models(to_parent(), ForeignKeyConstraint(["p"], ["child.id"])).create_all(project.engine)
    project.revision(
        1, 'op.drop_unnamed_constraint("child", ["p"], type_="foreignkey", referent_table="child")'
    )
    project.upgrade()
    [left] = inspect(project.engine).get_foreign_keys("child")
    assert left["referred_table"] == "parent"


def test_in_a_batch(project: Project) -> None:
    project.declare(models(to_parent()))
    project.options(render_as_batch=True)
    project.autogenerate("key")
    project.upgrade()
    project.declare(models())
    written = project.autogenerate("none")
    assert 'batch_op.drop_unnamed_constraint(["p"], type_="foreignkey"' in written.replace(
        "\n", ""
    ).replace("(            ", "(").replace("(        ", "(")
    project.upgrade()
    project.check()


def test_a_script_cannot_name_it(project: Project) -> None:
    project.revision(1, 'op.drop_unnamed_constraint("child", ["p"], type_="foreignkey")')
    with pytest.raises(CommandError, match="naming_convention"):
        project.script(lambda: project.upgrade(sql=True))


def test_other_kinds_are_refused(project: Project) -> None:
    project.revision(1, 'op.drop_unnamed_constraint("child", ["p"], type_="check")')
    with pytest.raises(CommandError, match="'foreignkey' or 'unique', not 'check'"):
        project.upgrade()


@pytest.mark.parametrize("columns", ['"p"', "None", "[]", '["p", 1]', "{}"])
def test_columns_that_are_no_list_are_refused(project: Project, columns: str) -> None:
    """A text is a sequence of its letters."""
    project.revision(1, f'op.drop_unnamed_constraint("child", {columns}, type_="unique")')
    with pytest.raises(CommandError, match="takes a list of columns"):
        project.upgrade()


def test_tables_that_refer_to_each_other_in_a_circle_stay_in_order() -> None:
    """No order is right: the keys have to go first, by hand."""
    metadata = MetaData()
    for name, other in (("a", "b"), ("b", "a")):
        Table(name, metadata, Column("id", Integer, ForeignKey(f"{other}.id"), primary_key=True))
    drops: list[MigrateOperation] = [DropTableOp.from_table(metadata.tables[n]) for n in "ba"]
    assert in_order(drops) == drops


def test_one_written_by_hand_cannot_be_reversed() -> None:
    by_hand = DropUnnamedConstraintOp("child", ["p"], type_="unique")
    assert by_hand.to_diff_tuple() == ("remove_constraint", "child", ["p"])
    with pytest.raises(ValueError, match="is not known"):
        by_hand.reverse()
