"""Ways round ``guard_migrations`` that are closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import inspect

import alembic_ext.guard
from sqlalchemy_matrixone_pitr import PitrManager, PitrUnprotectedError
from sqlalchemy_matrixone_pitr.alembic import guard_migrations
from tests.alembic.conftest import Project

TABLES = (
    'op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.create_table("more", sa.Column("id", sa.Integer, primary_key=True))\n'
    'op.create_pitr("{p}", "7d", table="orders")'
)


@pytest.fixture
def guarded(project: Project) -> Iterator[Project]:
    """A project with a policy of orders, and none of more."""
    project.revision(1, TABLES)
    project.upgrade()
    guard_migrations("1d")
    yield project
    alembic_ext.guard._required = None  # for the process; other tests drop what they like


HOLES = {
    "the policy goes first, as autogenerate writes it": (
        'op.drop_pitr("{p}")\nop.drop_table("orders")',
        "is dropped by this revision",
    ),
    "the policy goes afterwards": (
        'op.drop_table("orders")\nop.drop_pitr("{p}")',
        "at the end of the revision",
    ),
    "the policy is shortened": (
        'op.alter_pitr("{p}", "1h")\nop.drop_table("orders")',
        "reaches back 1h only",
    ),
    "under another name": (
        'op.rename_table("more", "less")\nop.rename_table("less", "least")\nop.drop_table("least")',
        "there is none",
    ),
    "the second of two": ('op.execute("DROP TABLE orders, `more`")', "there is none"),
}


@pytest.mark.parametrize("hole", HOLES)
@pytest.mark.parametrize("template", ["online", "external"])
def test_refused(guarded: Project, hole: str, template: str) -> None:
    code, said = HOLES[hole]
    guarded.template(template)
    guarded.revision(2, code)
    with pytest.raises(PitrUnprotectedError, match=said):
        guarded.upgrade()
    assert guarded.policies() == {"": "orders 7d active"}
    assert inspect(guarded.engine).has_table("orders")
    assert inspect(guarded.engine).has_table("more")


def test_the_policy_goes_in_a_later_revision_of_one_transaction(guarded: Project) -> None:
    guarded.template("external")
    guarded.revision(2, 'op.drop_table("orders")')
    guarded.revision(3, 'op.drop_pitr("{p}")')
    with pytest.raises(PitrUnprotectedError, match="is dropped by this revision"):
        guarded.upgrade()
    guarded.template("online")  # where it is a decision of its own
    guarded.upgrade()
    assert guarded.policies() == {}


def test_another_policy_is_enough(guarded: Project, database: str) -> None:
    PitrManager(guarded.engine).create_database_pitr(f"{guarded.prefix}_d", database, 1, "mo")
    guarded.revision(2, 'op.drop_pitr("{p}")\nop.drop_table("orders")\nop.drop_table("more")')
    guarded.upgrade()
    assert guarded.policies() == {"_d": "1mo active"}


def test_a_renamed_table_is_covered_by_its_policy(guarded: Project) -> None:
    guarded.revision(2, 'op.rename_table("orders", "bills")\nop.drop_table("bills")')
    guarded.upgrade()


def test_said_in_env_py_it_is_for_that_env_py(project: Project) -> None:
    project.revision(1, TABLES)
    project.revision(2, 'op.drop_table("more")')
    env = project.where / "env.py"
    plain = env.read_text()
    env.write_text(
        plain.replace("register()\n", "register()\nguard_migrations()\n", 1).replace(
            "import pitr_options", "import guard_migrations, pitr_options"
        )
    )
    project.upgrade("0001")
    with pytest.raises(PitrUnprotectedError):
        project.upgrade()
    project.config.attributes.pop(alembic_ext.guard.REQUIRED)
    env.write_text(plain)
    project.upgrade()
