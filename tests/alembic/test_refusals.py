"""Our errors as Alembic's command line prints them, and as programs catch them."""

from __future__ import annotations

import logging
import re
from typing import Any

import pytest
from alembic.config import CommandLine
from alembic.util import CommandError
from sqlalchemy import Column, Integer, MetaData, Table, text
from sqlalchemy.exc import DBAPIError, OperationalError

from alembic_ext.refusals import as_refusal
from sqlalchemy_matrixone_pitr import (
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrError,
    PitrPermissionError,
    PitrUnprotectedError,
    PitrUnsupportedError,
    PitrValidationError,
    TablePitr,
)
from sqlalchemy_matrixone_pitr.alembic import pitr_options
from tests.alembic.conftest import Project


def failed(project: Project, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line that the command line prints as it fails."""
    capsys.readouterr()
    cli = CommandLine()
    options = cli.parser.parse_args(arguments)
    project.config.cmd_opts = options
    with pytest.raises(SystemExit):
        cli.run_cmd(project.config, options)
    printed = " ".join(capsys.readouterr().out.split())
    return printed[printed.index("FAILED: ") :]


TABLE = 'op.create_table("orders", sa.Column("id", sa.Integer))'


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ('op.create_pitr("{p}", "7d")', "FAILED: create_pitr needs a target"),
        ('op.alter_pitr("{p}", "7 weeks")', "FAILED: PITR range unit 'weeks' is not known"),
        ('op.drop_pitr("a b")', "FAILED: PITR name 'a b'"),
        ('op.create_pitr("{p}", "7d", table="nosuch")', ".nosuch does not exist"),
    ],
)
def test_an_operation_that_is_refused(
    project: Project, capsys: pytest.CaptureFixture[str], code: str, said: str
) -> None:
    project.revision(1, code)
    assert said in failed(project, capsys, "upgrade", "head")


def test_a_failure_after_commit_says_how_to_repair(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """Notes are printed too."""
    project.revision(1, 'op.create_pitr("{p}", "7d", table="nosuch")')
    printed = failed(project, capsys, "upgrade", "head")
    assert "the revision is recorded" in printed
    assert "mo-pitr apply MODULE:metadata" in printed


@pytest.mark.parametrize("template", ["online", "external", "async"])
@pytest.mark.parametrize(
    "statement", ["CREATE PITR {p} FOR ACCOUNT RANGE 1 'd'", "DROP PITR {p}", "SHOW PITR"]
)
def test_text_of_what_no_transaction_takes(project: Project, template: str, statement: str) -> None:
    """It stays SQLAlchemy's error, and says what a migration does instead."""
    project.template(template)
    project.revision(1, f'op.execute("{statement}")')
    with pytest.raises(OperationalError) as caught:
        project.upgrade()
    [note] = caught.value.__notes__
    assert "op.create_pitr(), op.alter_pitr() and op.drop_pitr() wait for its COMMIT" in note


def test_other_errors_have_no_note(project: Project) -> None:
    project.revision(1, 'op.execute("SELECT * FROM nosuch")')
    with pytest.raises(DBAPIError) as caught:
        project.upgrade()
    assert not hasattr(caught.value, "__notes__")


@pytest.mark.parametrize("template", ["online", "external", "async"])
def test_programs_catch_what_they_did(project: Project, template: str) -> None:
    """Also where env.py has begun the transaction, and commits it itself."""
    project.template(template)
    project.revision(
        1,
        f'{TABLE}\nop.create_pitr("{{p}}", "7d", table="orders")\n'
        'op.create_pitr("{p}_x", "7d", table="nosuch")\nop.create_pitr("{p}_y", "7d", table="no")',
    )
    with pytest.raises(PitrAfterCommitError) as caught:
        project.upgrade()
    error = caught.value
    assert isinstance(error, CommandError)
    assert project.prefix in [element.pitr_name for element in error.done]
    assert {element.pitr_name for element in (*error.failed, *error.not_tried)} >= {
        f"{project.prefix}_x",
        f"{project.prefix}_y",
    }
    assert error.name == f"{project.prefix}_x"
    assert isinstance(error.__cause__, PitrError)
    assert "the revision is recorded" in "".join(error.__notes__)


def test_a_script(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.config.set_main_option("sqlalchemy.url", "mysql+pymysql://")
    project.revision(1, 'op.create_pitr("{p}", "7d", table="orders")')
    assert "names no database" in failed(project, capsys, "upgrade", "head", "--sql")
    asked = ("-x", "pitr_database=shop", "-x", "matrixone_version=four")
    assert "write the version as 4.2.0" in failed(
        project, capsys, *asked, "upgrade", "head", "--sql"
    )


@pytest.mark.parametrize("command", [["check"], ["revision", "--autogenerate", "-m", "x"]])
def test_declarations_that_contradict_each_other(
    project: Project, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    both = MetaData(), MetaData()
    for table, metadata in zip(("orders", "bills"), both, strict=True):
        Table(table, metadata, Column("id", Integer), TablePitr("7d", project.prefix))
    project.config.attributes["metadata"] = list(both)
    assert f"'{project.prefix}' is declared twice" in failed(project, capsys, *command)


def test_what_is_not_guarded(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    env = project.where / "env.py"
    guard = "from sqlalchemy_matrixone_pitr.alembic import guard_migrations\nguard_migrations()\n"
    env.write_text(env.read_text().replace("register()\n", f"register()\n{guard}"))
    project.revision(1, TABLE)
    project.upgrade()
    with project.engine.begin() as conn:
        conn.execute(text("INSERT INTO orders (id) VALUES (1)"))
    project.revision(2, 'op.drop_table("orders")')
    assert "could not be brought back" in failed(project, capsys, "upgrade", "head")
    with pytest.raises(PitrUnprotectedError):
        project.upgrade()


@pytest.mark.parametrize("range", ["bad range", "0d", "7 weeks"])
def test_a_guard_that_is_not_understood(
    project: Project, capsys: pytest.CaptureFixture[str], range: str
) -> None:
    env = project.where / "env.py"
    imported = "from sqlalchemy_matrixone_pitr.alembic import guard_migrations"
    guard = f"register()\n{imported}\nguard_migrations({range!r})\n"
    env.write_text(env.read_text().replace("register()\n", guard))
    project.revision(1, TABLE)
    assert "FAILED: PITR range" in failed(project, capsys, "upgrade", "head")


def test_options(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.config.attributes["pitr"] = {"database": ""}
    project.revision(1, TABLE)
    assert "FAILED: database" in failed(project, capsys, "upgrade", "head")
    with pytest.raises(PitrValidationError):
        pitr_options(database="")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"compare_pitr": "no"}, "compare_pitr must be True or False, not 'no'"),
        ({"drop_undeclared": "false"}, "drop_undeclared must be True or False, not 'false'"),
        ({"record_times": 0}, "record_times must be True or False, not 0"),
        ({"target_metadata": "models"}, "'models' is not a MetaData, a declarative base, or a li"),
        ({"target_metadata": {MetaData()}}, "is not a MetaData, a declarative base, or a list"),
    ],
)
def test_options_of_other_types(arguments: dict[str, Any], said: str) -> None:
    """A text of the environment is true, whatever it says."""
    with pytest.raises(CommandError, match=re.escape(said)):
        pitr_options(**arguments)


def test_it_is_of_both_classes_once() -> None:
    cause = ValueError("why")
    error = PitrAlreadyExistsError("there", name="p", errno=20101)
    error.__cause__ = cause
    error.add_note("do this")
    refusal = as_refusal(error)
    assert isinstance(refusal, PitrAlreadyExistsError)
    assert isinstance(refusal, CommandError)
    assert (refusal.name, refusal.errno, refusal.__cause__) == ("p", 20101, cause)
    assert refusal.__notes__ == ["do this"]
    assert str(refusal) == "there\ndo this"
    assert as_refusal(refusal) is refusal
    for kind in (PitrPermissionError, PitrUnsupportedError, PitrValidationError):
        assert type(as_refusal(kind("no"))).__name__ == kind.__name__
    assert isinstance(as_refusal(PitrValidationError("no")), ValueError)


@pytest.mark.usefixtures("renews")
def test_what_is_done_is_said(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """As Alembic says what it runs; what was so already is not."""
    p = project.prefix
    metadata = MetaData()
    Table("orders", metadata, Column("id", Integer), TablePitr("7d", p))
    project.declare(metadata)
    project.revision(1, f'{TABLE}\nop.create_pitr("{{p}}", "7d", table="orders")')
    project.revision(2, 'op.add_column("orders", sa.Column("c", sa.Integer))')
    project.revision(3, 'op.alter_pitr("{p}", "9d")')
    project.revision(4, 'op.alter_pitr("{p}", "9d")')
    project.revision(
        5,
        'op.drop_pitr("{p}")\n'
        "with op.get_context().autocommit_block():\n"
        '    op.create_pitr("{p}_d", "7d", level="database")',
    )
    with caplog.at_level(logging.INFO, "alembic.runtime"):
        project.upgrade()
    said = [
        message.split(" -> ")[-1].rstrip(", ")
        for message in caplog.messages
        if "PITR" in message or "Running" in message
    ]
    assert said == [
        "0001",
        f"Created PITR {p} of table {p}.orders, 7d",
        "0002",
        f"Renewed policy as PITR {p}__g2 of table {p}.orders, 7d",
        "0003",
        f"Altered PITR {p}__g2 to 9d",
        "0004",
        "0005",
        f"Dropped PITR {p}__g2",
        f"Created PITR {p}_d of database {p}, 7d",
    ]
