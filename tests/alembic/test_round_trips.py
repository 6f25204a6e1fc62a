"""Models made at random go to the server and back by autogenerate; scripts end where runs do.

RANDOM_TRIPS=200 RANDOM_SCRIPTS=80 pytest --all-combinations makes that many (24 and 8 without the
variables, half of them without the option), half on each server version,
the same ones each time.
"""

from __future__ import annotations

import os
import re
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from sqlalchemy_matrixone_pitr import PitrStatus, get_pitrs
from tests.alembic.conftest import Project
from tests.alembic.random_models import Chance, Models
from tests.combinations import SYNC_SCHEMES
from tests.conftest import Server

pytestmark = pytest.mark.slow

TRIPS = int(os.environ.get("RANDOM_TRIPS", "24")) // 2
SCRIPTS = int(os.environ.get("RANDOM_SCRIPTS", "8")) // 2


@pytest.fixture
def made(
    request: pytest.FixtureRequest, server: Server, database: str, prefix: str, tmp_path: Path
) -> Iterator[Project]:
    """A project for a seed; every other one is on SQLAlchemy's own dialect."""
    scheme = SYNC_SCHEMES[request.param % 2]
    url = server.url(scheme, database)
    engine = create_engine(url)
    project = Project(tmp_path, url.render_as_string(hide_password=False), engine, prefix)
    project.config.attributes["pitr"] = {"drop_undeclared": True}
    yield project
    engine.dispose()


def declare(project: Project, models: Models) -> None:
    project.declare(models.metadata())


def active(engine: Engine, database: str) -> list[tuple[str | None, str]]:
    """The policies that protect the tables of a database now."""
    found = get_pitrs(engine, database_name=database, with_status=True)
    return sorted(
        ((pitr.table_name, str(pitr.range)) for pitr in found if pitr.status is PitrStatus.ACTIVE),
        key=str,
    )


def tables(engine: Engine) -> dict[str, str]:
    """The definitions of the tables, without what is made up by the server."""
    found = {}
    with engine.connect() as conn:
        for name in conn.execute(text("SHOW TABLES")).scalars().all():
            if not name.startswith("alembic_"):
                shown = conn.execute(text(f"SHOW CREATE TABLE {name}")).one()[1]
                found[name] = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "~", shown)
    return found


@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize(("seed", "made"), [(n, n) for n in range(TRIPS)], indirect=["made"])
def test_round_trip(seed: int, made: Project, server: Server, database: str) -> None:
    """Upgrade and check, change and upgrade and check, and all the way back."""
    chance = Chance((server.version, seed))
    models = chance.models(made.prefix, booleans=made.engine.driver == "pymysql" and seed % 2 == 0)
    declare(made, models)
    first = made.autogenerate("first")
    print(first)
    made.upgrade()
    made.check()
    before = tables(made.engine), active(made.engine, database)

    declare(made, chance.changed(models))
    print(made.autogenerate("second"))
    made.upgrade()
    made.check()

    made.downgrade("-1")
    for script in (made.where / "versions").glob("*_second.py"):
        script.unlink()
    declare(made, models)
    made.check()
    assert active(made.engine, database) == before[1]

    made.downgrade()
    assert tables(made.engine) == {}
    assert active(made.engine, database) == []


# -- scripts ---------------------------------------------------------------------------------------


def history(made: Project, chance: Chance) -> list[str]:
    """Some revisions, written and run one after another; their messages."""
    models = chance.models(made.prefix, booleans=False, all_named=True)
    messages = ["one", "two", "three", "four"][: chance.random.randint(2, 4)]
    for number, message in enumerate(messages):
        if number:
            models = chance.changed(models)
        declare(made, models)
        print(made.autogenerate(message))
        made.upgrade()
    made.check()
    return messages


def run_script(server: Server, database: str, script: str) -> None:
    """Statement by statement, as a client in autocommit runs it."""
    connection = server.connect(database)
    with connection, connection.cursor() as cursor:
        for statement in re.split(r";$", script, flags=re.MULTILINE):
            lines = [line for line in statement.splitlines() if not line.startswith("--")]
            if "".join(lines).strip():
                cursor.execute("\n".join(lines))


@pytest.mark.usefixtures("renews")
@pytest.mark.parametrize(("seed", "made"), [(n, n) for n in range(SCRIPTS)], indirect=["made"])
def test_a_script_ends_where_the_run_ends(
    seed: int, made: Project, server: Server, database: str
) -> None:
    """The same tables, the same protection."""
    history(made, Chance((server.version, "script", seed)))
    by_run = tables(made.engine), active(made.engine, database)
    for pitr in get_pitrs(made.engine, database_name=database):
        server.query(f"DROP PITR {pitr.name}")
    made.engine.dispose()
    server.query(f"DROP DATABASE {database}")
    server.query(f"CREATE DATABASE {database}")

    environment = made.where / "env.py"
    written = environment.read_text()
    named = "dialect_opts={'paramstyle': 'named'}"  # as Alembic's templates have it
    assert 'dialect_name="mysql"' in written
    environment.write_text(written.replace('dialect_name="mysql"', named))
    version = ".".join(map(str, server.version))
    made.config.cmd_opts = Namespace(x=[f"matrixone_version={version}"])
    script = made.script(lambda: made.upgrade(sql=True))
    print(script)
    run_script(server, database, script)
    assert tables(made.engine) == by_run[0]
    assert active(made.engine, database) == by_run[1]
