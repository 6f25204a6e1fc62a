"""Models made at random go to the server and back by autogenerate; scripts end where runs do.

RANDOM_TRIPS=200 RANDOM_SCRIPTS=80 makes that many (24 and 8 without), half on each server version,
the same ones each time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text

from sqlalchemy_matrixone_pitr import PitrStatus, get_pitrs
from tests.alembic.conftest import Project
from tests.alembic.random_models import Chance, Models
from tests.conftest import SYNC_SCHEMES, Server

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
    """What protects the tables of a database now."""
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
