"""Alembic projects made by a test: an env.py, revisions, and the commands to run them."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, create_engine, text

from sqlalchemy_matrixone_pitr import get_pitrs
from tests.combinations import SYNC_SCHEMES
from tests.conftest import Server

ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

from sqlalchemy_matrixone_pitr.alembic import pitr_options, register

register()
config = context.config
attributes = config.attributes
metadata = attributes.get("metadata")
options = pitr_options(metadata, **attributes.get("pitr", {{}}))
options |= attributes.get("options", {{}})

if context.is_offline_mode():
    context.configure(
        url=config.get_main_option("sqlalchemy.url"), target_metadata=metadata, literal_binds=True,
        dialect_name="mysql", **options
    )
    with context.begin_transaction():
        context.run_migrations()
else:
    {online}
"""

ONLINE = """
    engine = create_engine(config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, **options)
        with context.begin_transaction():
            context.run_migrations()
"""

EXTERNAL = """
    engine = create_engine(config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
    with engine.begin() as connection:
        context.configure(connection=connection, target_metadata=metadata, **options)
        with context.begin_transaction():
            context.run_migrations()
"""

ASYNC = """
    import asyncio
    from sqlalchemy.ext.asyncio import create_async_engine

    def run(connection):
        context.configure(connection=connection, target_metadata=metadata, **options)
        with context.begin_transaction():
            context.run_migrations()

    async def main():
        url = config.get_main_option("sqlalchemy.url").replace("pymysql", "aiomysql")
        engine = create_async_engine(url, poolclass=pool.NullPool)
        async with engine.connect() as connection:
            await connection.run_sync(run)
        await engine.dispose()

    asyncio.run(main())
"""

TRANSLATED = ONLINE.replace(
    "engine.connect()",
    'engine.connect().execution_options(schema_translate_map=attributes["schema_map"])',
)

TEMPLATES = {"online": ONLINE, "external": EXTERNAL, "async": ASYNC}

MAKO = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


class Project:
    """A migration directory, on the test's database."""

    def __init__(self, where: Path, url: str, engine: Engine, prefix: str) -> None:
        self.where = where
        self.engine = engine
        self.prefix = prefix
        self.config = Config()
        self.config.set_main_option("script_location", str(where))
        self.config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
        (where / "versions").mkdir()
        (where / "script.py.mako").write_text(MAKO)
        self.template("online")

    def template(self, name: str) -> None:
        online = (TEMPLATES | {"translated": TRANSLATED})[name].strip("\n")
        (self.where / "env.py").write_text(ENV.format(online=online.strip()))

    def declare(self, metadata: MetaData) -> None:
        self.config.attributes["metadata"] = metadata

    def options(self, **options: Any) -> None:
        self.config.attributes["options"] = options

    def revision(self, number: int, upgrade: str, downgrade: str = "pass") -> None:
        """A revision written by hand; ``{p}`` is the test's prefix."""
        before = repr(f"{number - 1:04}") if number > 1 else None
        text = (
            "from alembic import op\nimport sqlalchemy as sa\n\n"
            f"revision = '{number:04}'\ndown_revision = {before}\n\n\n"
            f"def upgrade():\n{self._body(upgrade)}\n\n\n"
            f"def downgrade():\n{self._body(downgrade)}\n"
        )
        (self.where / "versions" / f"{number:04}.py").write_text(text)

    def _body(self, code: str) -> str:
        return textwrap.indent(textwrap.dedent(code).strip().replace("{p}", self.prefix), "    ")

    def autogenerate(self, message: str = "auto") -> str:
        """A revision written by Alembic; what is in its two functions."""
        script = command.revision(self.config, message, autogenerate=True)
        assert script is not None
        assert not isinstance(script, list)
        text = Path(script.path).read_text()
        body = text[text.index("def upgrade") :]
        return re.sub(r"    # ### .*\n", "", body)

    def upgrade(self, to: str = "head", sql: bool = False) -> None:
        command.upgrade(self.config, to, sql=sql)

    def downgrade(self, to: str = "base", sql: bool = False) -> None:
        command.downgrade(self.config, to, sql=sql)

    def check(self) -> None:
        command.check(self.config)

    def script(self, run: Callable[[], None]) -> str:
        """The output of ``--sql``."""
        output = io.StringIO()
        self.config.output_buffer = output
        with redirect_stdout(output):
            run()
        return output.getvalue()

    def policies(self) -> dict[str, str]:
        """This test's policies: name without the prefix -> target, range, status."""
        return {
            pitr.name.removeprefix(self.prefix): " ".join(
                filter(None, (pitr.table_name, str(pitr.range), str(pitr.status)))
            )
            for pitr in get_pitrs(self.engine, with_status=True)
            if pitr.name.startswith(self.prefix)
        }

    def tables(self) -> set[str]:
        with self.engine.connect() as conn:
            return set(conn.execute(text("SHOW TABLES")).scalars())

    @property
    def heads(self) -> list[str]:
        return ScriptDirectory.from_config(self.config).get_heads()


@pytest.fixture(params=SYNC_SCHEMES)
def project(
    request: pytest.FixtureRequest, server: Server, database: str, prefix: str, tmp_path: Path
) -> Iterator[Project]:
    """An empty project, on our dialect and on SQLAlchemy's own."""
    where = tmp_path / "migrations"
    where.mkdir()
    url = server.url(request.param, database)
    engine = create_engine(url)
    yield Project(where, url.render_as_string(hide_password=False), engine, prefix)
    engine.dispose()


@pytest.fixture
def renews(server: Server) -> None:
    """For tests in which a policy is renewed beside its history."""
    if server.version < (3,):
        pytest.skip("on 2.x the server takes every old generation for active")
