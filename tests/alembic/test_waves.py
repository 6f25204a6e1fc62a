"""Many policies in one revision go over several connections; nothing else is different."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Sequence

import pytest
from sqlalchemy.exc import OperationalError, SAWarning

from sqlalchemy_matrixone_pitr import PitrAfterCommitError, account_lock, get_pitrs
from sqlalchemy_matrixone_pitr.transaction import TransactionalDDLElement
from tests.alembic.conftest import Project
from tests.conftest import Server
from tests.interrupts import Interrupt
from tests.proxy import Proxy, When

MANY = 30
TARDY = 17
"""The number of a policy that something happens to."""

pytestmark = pytest.mark.parametrize("project", ["matrixone+pymysql"], indirect=True)

CREATE = 'op.create_pitr("{{p}}_{0:02}", "7d", table="t{0:02}")'
ALTER = 'op.alter_pitr("{{p}}_{0:02}", "9d", existing_table="t{0:02}")'
AGAIN = ALTER.replace("9d", "11d")
DROP = 'op.drop_pitr("{{p}}_{0:02}")'
OTHER = 'op.create_pitr("{{p}}_o{0:02}", "3d", table="t{0:02}")'
"""A policy of another name, for the same table."""

TEMPLATES = pytest.mark.parametrize("template", ["online", "external", "async"])


@pytest.fixture(autouse=True)
def tables(server: Server, database: str) -> None:
    for number in range(MANY):
        server.query(f"CREATE TABLE t{number:02} (id INT PRIMARY KEY)", database)


def lines(operation: str, count: int = MANY) -> str:
    return "\n".join(operation.format(number) for number in range(count))


def through(project: Project, server: Server, database: str, proxy: Proxy) -> None:
    url = server.url(project.engine.url.drivername, database, port=proxy.port)
    project.config.set_main_option("sqlalchemy.url", url.render_as_string(hide_password=False))


def senders(proxy: Proxy) -> int:
    """The number of connections that have sent a PITR statement."""
    changes = re.compile("^(CREATE|ALTER|DROP) PITR")
    return sum(any(map(changes.match, sent)) for sent in proxy.by_connection)


def names(project: Project, *numbers: int, prefix: str = "") -> list[str]:
    return [f"{project.prefix}_{prefix}{number:02}" for number in numbers]


def there(project: Project) -> list[str]:
    return sorted(p.name for p in get_pitrs(project.engine) if p.name.startswith(project.prefix))


def policies(project: Project, elements: Sequence[TransactionalDDLElement]) -> list[str]:
    """Their names, without what a migration records."""
    told = [element.pitr_name for element in elements]
    return [name for name in told if name.startswith(project.prefix)]


def assert_told_exactly(project: Project, error: PitrAfterCommitError) -> None:
    """Every policy is in one list of the report, in order, and those done are there."""
    lists = [error.done, error.failed, error.unknown, error.not_tried]
    told = [policies(project, some) for some in lists]
    assert sorted(itertools.chain(*told)) == names(project, *range(MANY))
    assert all(some == sorted(some) for some in told)
    assert there(project) == sorted(told[0] + [n for n in told[2] if n in there(project)])


@TEMPLATES
def test_over_four_connections_and_told_in_order(
    project: Project,
    server: Server,
    database: str,
    proxy: Proxy,
    template: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first one alone; each statement once, under the lock, which is taken once."""
    project.template(template)
    project.revision(1, lines(CREATE))
    through(project, server, database, proxy)
    with caplog.at_level(logging.INFO, "alembic.runtime"):
        project.upgrade()
    assert there(project) == names(project, *range(MANY))
    said = [message for message in caplog.messages if "PITR" in message]
    assert said == [
        f"Created PITR {name} of table {database}.t{number:02}, 7d"
        for number, name in enumerate(names(project, *range(MANY)))
    ]
    assert len(proxy.matching("^CREATE PITR")) == MANY
    assert len(proxy.matching("FOR UPDATE")) == 1
    assert 2 <= senders(proxy) <= 5
    own = next(sent for sent in proxy.by_connection if any("t00" in text for text in sent))
    assert sum("CREATE PITR" in text for text in own) == 1


@pytest.mark.parametrize(("count", "alone"), [(13, True), (14, False)])
def test_few_go_over_the_one_of_the_migration(
    project: Project, server: Server, database: str, proxy: Proxy, count: int, alone: bool
) -> None:
    project.revision(1, lines(CREATE, count))
    through(project, server, database, proxy)
    project.upgrade()
    assert (senders(proxy) == 1) is alone
    assert there(project) == names(project, *range(count))


def test_connections_are_kept_for_the_next_revision(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    project.revision(1, lines(CREATE))
    project.revision(2, lines(ALTER))
    project.revision(3, lines(DROP))
    through(project, server, database, proxy)
    project.upgrade()
    assert there(project) == []
    assert len(proxy.by_connection) <= 6  # the migration's, the lock's, four


def test_what_is_there_is_not_sent(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    project.revision(1, lines(CREATE))
    project.revision(2, lines(CREATE))
    project.upgrade("0001")
    through(project, server, database, proxy)
    project.upgrade()
    assert senders(proxy) == 0
    assert len(proxy.by_connection) <= 3


@TEMPLATES
def test_one_policy_keeps_its_order(
    project: Project, template: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One name, and one table under another name."""
    project.template(template)
    project.revision(1, lines(CREATE))
    project.revision(2, "\n".join((lines(ALTER), lines(AGAIN))))
    project.revision(3, "\n".join((lines(DROP), lines(OTHER))))
    project.upgrade("0001")
    with caplog.at_level(logging.INFO, "alembic.runtime"):
        project.upgrade("0002")
        project.upgrade()
    assert there(project) == names(project, *range(MANY), prefix="o")
    verbs = [message.split()[0] for message in caplog.messages if "PITR" in message]
    told = [(verb, len(list(some))) for verb, some in itertools.groupby(verbs)]
    assert told == [("Altered", 2 * MANY), ("Dropped", MANY), ("Created", MANY)]


def test_and_where_they_take_turns(project: Project) -> None:
    """Each policy's statements one behind the other, and among those of others."""
    turns = [line.format(number) for number in range(MANY) for line in (CREATE, ALTER, DROP, OTHER)]
    project.revision(1, "\n".join(turns))
    project.upgrade()
    assert there(project) == names(project, *range(MANY), prefix="o")


def test_a_name_that_goes_to_another_table(project: Project) -> None:
    """The DROP frees name and table, whatever it says of them."""
    project.revision(1, lines(CREATE))
    moved = [CREATE.format(n).replace(f"t{n:02}", f"t{(n + 1) % MANY:02}") for n in range(MANY)]
    project.revision(2, "\n".join([lines(DROP), *moved]))
    project.upgrade()
    found = {p.name: p.table_name for p in get_pitrs(project.engine) if p.name in there(project)}
    assert found == {
        name: f"t{(number + 1) % MANY:02}"
        for number, name in enumerate(names(project, *range(MANY)))
    }


@TEMPLATES
def test_one_that_is_refused(
    project: Project, template: str, caplog: pytest.LogCaptureFixture
) -> None:
    """By the server; the others are done, and told in order."""
    project.template(template)
    refused = [TARDY, TARDY + 3]
    body = lines(CREATE)
    for number in refused:
        body = body.replace(f'"t{number:02}"', f'"gone{number:02}"')
    project.revision(1, body)
    with (
        caplog.at_level(logging.INFO, "alembic.runtime"),
        pytest.raises(PitrAfterCommitError) as caught,
    ):
        project.upgrade()
    error = caught.value
    assert_told_exactly(project, error)
    assert [element.pitr_name for element in error.failed] == names(project, *refused)
    assert not error.unknown
    assert not policies(project, error.not_tried)
    assert error.name == names(project, TARDY)[0]
    assert "the revision is recorded" in "".join(error.__notes__)
    assert "gone20" in "".join(error.__notes__)
    said = [message.split()[2] for message in caplog.messages if "Created PITR" in message]
    assert said == policies(project, error.done)


@TEMPLATES
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dead_socket(
    project: Project, server: Server, database: str, proxy: Proxy, template: str, when: When
) -> None:
    """Its statement is unknown, those on their way come to their end, nothing more is begun; and
    its session is ended before the lock is given up."""
    project.template(template)
    project.revision(1, lines(CREATE))
    through(project, server, database, proxy)
    name = names(project, TARDY)[0]
    proxy.cut(f"^CREATE PITR `{name}`", when)
    with pytest.raises(PitrAfterCommitError) as caught:
        project.upgrade()
    error = caught.value
    assert_told_exactly(project, error)
    assert [element.pitr_name for element in error.unknown] == [name]
    assert not error.failed
    assert error.not_tried or when == "after"  # the others go on until it is noticed
    assert (name in there(project)) is (when == "after")
    assert proxy.matching("^KILL")
    with account_lock(project.engine):
        pass


def test_a_dead_socket_of_the_one_connection(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    """Few are sent over the migration's own connection: its session is ended too."""
    project.revision(1, lines(CREATE, 5))
    through(project, server, database, proxy)
    proxy.cut(f"^CREATE PITR `{names(project, 3)[0]}`", "after")
    with pytest.raises(PitrAfterCommitError) as caught:
        project.upgrade()
    assert [element.pitr_name for element in caught.value.unknown] == names(project, 3)
    assert proxy.matching("^KILL")


def test_a_drop_that_is_not_sent(
    project: Project, server: Server, database: str, proxy: Proxy
) -> None:
    """Nothing is missing then, and no ``mo-pitr apply`` creates it."""
    project.revision(1, lines(CREATE, 2), lines(DROP, 2))
    project.upgrade()
    through(project, server, database, proxy)
    proxy.cut("^DROP PITR", "before")
    with pytest.raises(PitrAfterCommitError) as caught:
        project.downgrade()
    assert there(project) == names(project, 0, 1)
    notes = "".join(caught.value.__notes__)
    assert "What it drops may still be there" in notes
    assert "create it with mo-pitr apply" not in notes


@TEMPLATES
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_commit_whose_answer_is_lost(
    project: Project, server: Server, database: str, proxy: Proxy, template: str, when: When
) -> None:
    """Nobody knows whether the revision will run again, and its policies are not there."""
    project.template(template)
    project.revision(1, lines(CREATE, 2))
    through(project, server, database, proxy)
    proxy.on("^INSERT INTO alembic_version", lambda: proxy.cut("^COMMIT", when))
    with pytest.raises(OperationalError) as caught:
        project.upgrade()
    assert there(project) == []
    waiting, what_to_do = caught.value.__notes__
    assert all(name in waiting for name in names(project, 0, 1))
    assert what_to_do.startswith("alembic current says whether the server has committed")


@TEMPLATES
def test_interrupted(
    project: Project,
    server: Server,
    database: str,
    proxy: Proxy,
    interrupt: Interrupt,
    template: str,
) -> None:
    """Sent statements come to their end, nothing more is begun, and the note tells of each."""
    project.template(template)
    project.revision(1, lines(CREATE))
    through(project, server, database, proxy)
    proxy.on(f"^CREATE PITR `{names(project, TARDY)[0]}`", interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        project.upgrade()
    found = there(project)
    assert 0 < len(found) < MANY
    with account_lock(project.engine):
        pass
    assert there(project) == found
    if template == "async":  # asyncio.run() raises another one
        return
    [note] = [note for note in caught.value.__notes__ if "not all done" in note]
    told = {line.split(":")[0]: re.findall("PITR `([^`]+)`", line) for line in note.splitlines()}
    assert told["  done"] == found
    assert told["  not tried"] == sorted({*names(project, *range(MANY))} - {*found})


@pytest.mark.parametrize("template", ["online", "async"])
def test_no_further_connection(
    project: Project, server: Server, database: str, proxy: Proxy, template: str
) -> None:
    """The one that was kept is dead, and no other is to be had: the migration's does it all."""
    project.template(template)
    project.revision(1, lines(CREATE))
    through(project, server, database, proxy)
    asks = r"SELECT connection_id\(\), @@autocommit"
    proxy.on(asks, proxy.refuse)
    proxy.cut(asks, "before")
    project.upgrade()
    assert there(project) == names(project, *range(MANY))
    assert senders(proxy) == 1


@pytest.mark.parametrize(
    "pool", ["pool_size=1, max_overflow=0", "poolclass=pool.StaticPool", "isolation_level=None"]
)
def test_whatever_the_pool(project: Project, pool: str) -> None:
    env = project.where / "env.py"
    env.write_text(env.read_text().replace("poolclass=pool.NullPool", pool))
    project.revision(1, lines(CREATE))
    project.upgrade()
    assert there(project) == names(project, *range(MANY))


LISTENER = """
    import contextvars
    from sqlalchemy import event

    tenant = contextvars.ContextVar("tenant")
    tenant.set("a")
    engine = create_engine(config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)

    @event.listens_for(engine, "do_connect")
    @event.listens_for(engine, "before_cursor_execute")
    def listen(*_):
        tenant.get()
"""


def test_listeners_have_the_context_variables_of_the_run(project: Project) -> None:
    """As a tenant's or a trace's: in the threads that send, and in the one that waits."""
    env = project.where / "env.py"
    before, _, after = env.read_text().rpartition("    engine = create_engine(")
    env.write_text(before + LISTENER.lstrip("\n") + after[after.index("\n") + 1 :])
    project.revision(1, lines(CREATE))
    project.upgrade()
    assert there(project) == names(project, *range(MANY))


def test_warnings_are_in_order(project: Project) -> None:
    """Said while it is decided what is sent."""
    project.revision(1, lines(DROP) + "\n" + lines(CREATE))
    with pytest.warns(SAWarning, match="does not exist") as caught:
        project.upgrade()
    said = [str(warning.message).split("'")[1] for warning in caught]
    assert said == names(project, *range(MANY))
    assert there(project) == said


@pytest.mark.filterwarnings("error::sqlalchemy.exc.SAWarning")
def test_a_warning_that_is_an_error_ends_it(project: Project) -> None:
    """Those before it are sent, those behind it are not."""
    body = lines(CREATE).splitlines()
    body.insert(TARDY, 'op.alter_pitr("{p}_zz", "9d")')
    project.revision(1, "\n".join(body))
    with pytest.raises(PitrAfterCommitError) as caught:
        project.upgrade()
    error = caught.value
    assert [e.pitr_name for e in error.done] == names(project, *range(TARDY))
    assert [e.pitr_name for e in error.not_tried] == [
        f"{project.prefix}_zz",
        *names(project, *range(TARDY, MANY)),
    ]
    assert there(project) == names(project, *range(TARDY))
