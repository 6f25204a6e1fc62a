"""The way back from a restore: :func:`undo_restore`."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from .. import server
from ..catalog import Key, inventory, kinds_in, names_of, object_ids, references
from ..connections import Bind
from ..errors import PitrNotFoundError, PitrRestoreError
from ..locking import DEFAULT_TIMEOUT, account_lock
from ..moment import Moment
from ..names import back_quoted
from ..own import number_of
from ..past.copies import own_engine
from ..past.rows import summaries_of
from ..show import reading, typed_errors
from .facts import definition_of, views_of
from .preview import RestoreStep
from .rebuild import Piece, Rebuild, children_first, keys_to_drop
from .records import RestoreRecord, find_record
from .report import OnRestoreProgress, RestoreReport
from .work import Job, Work


def undo_restore(
    bind: Bind,
    id: int | RestoreRecord | RestoreReport,
    *,
    force: bool = False,
    safety_copy: bool = True,
    renew: bool = True,
    on_progress: OnRestoreProgress | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> RestoreReport:
    """Bring the state before a restore back, from its safety copy.

    Rows, definitions, foreign keys and views, in one transaction: all of them or nothing. It is a
    restore of its own, with its own safety copy, and can be undone, too.

    :param id: the report, a record of :func:`restore_records`, or the number of either. A number
        means another restore where the database ``matrixone_pitr`` was dropped in between.
    :param force: undo also where something was written since the restore: it is lost, but for the
        safety copy.
    :param safety_copy: False cannot be undone.
    :param renew: renew the policies that do not protect the target any more.
    :raises PitrNotFoundError: no such restore, or its copies were forgotten or dropped by hand, or
        the number is another's by now.
    :raises PitrRestoreError: something has changed since, and nothing was sent; or a step failed.
    :raises PitrTransactionError: the bind is in a transaction.
    """
    found = own_engine(bind, "undo_restore()")
    number = number_of(id, "restore")
    with account_lock(found, timeout):
        with reading(found) as connection, typed_errors():
            record = find_record(connection, id)
            if record.state == "undone":
                raise PitrRestoreError(f"restore {number} is undone already; nothing was sent")
            now = _Now(connection, record)
        job = _job(record, now, safety_copy=safety_copy, renew=renew)
        if not force:
            changes = list(_changes(found, record, now))
            if changes:
                what = "\n".join(f"  {change}" for change in changes)
                raise PitrRestoreError(
                    f"restore {number} is not undone, and nothing was sent: something has changed "
                    f"since. force=True undoes it all the same, and loses that:\n{what}"
                )
        return Work(found.engine, job, undo_restore, on_progress).run()


class _Now:
    """The present state of what a record is about."""

    def __init__(self, connection: Connection, record: RestoreRecord) -> None:
        self.record = record
        scope = record.scope
        version = server.require_matrixone(connection)
        moment = Moment(server.clock(connection))
        self.ids: dict[Key, int] = {}
        self.databases: set[str] = set()
        for database in scope.databases:
            found = inventory(connection, version, at=moment, database=database) or {}
            for one in found.values():
                if one.table_name is None:
                    self.databases.add(database)
                elif scope.has((database, one.table_name)):
                    self.ids[database, one.table_name] = one.id
        self.keys = references(connection, of=scope.databases, to=scope.databases)
        self.named = {(d, name) for d in self.databases for name in kinds_in(connection, d)}
        self.views: dict[Key, str] = {}
        if scope.database in self.databases and scope.database is not None:
            self.views = views_of(connection, scope.database)
        self.defined = dict(self.views)
        for table in self.ids.keys() & record.left.keys():
            self.defined[table] = definition_of(connection, table)
        self.copies = object_ids(connection, list(copies_of(record).values())).keys()

    @property
    def unchanged(self) -> set[Key]:
        """The tables that the restore has not touched: they are the same as before it."""
        before = self.record.before
        return {table for table, number in self.ids.items() if before.get(table) == number}


def _changes(bind: Bind, record: RestoreRecord, now: _Now) -> Iterator[str]:
    """List what has changed since the restore."""
    touched = now.ids.keys() - now.unchanged
    left = record.left
    for table in sorted(touched - record.after):
        yield f"{'.'.join(table)} was made since"
    for table in sorted(record.after - now.ids.keys()):
        yield f"{'.'.join(table)} was dropped since"
    for view in sorted(now.views.keys() - left.keys() if "left" in record.details else ()):
        yield f"view {'.'.join(view)} was made since"
    for one in sorted(left.keys() - record.after - now.views.keys()):
        yield f"view {'.'.join(one)} was dropped since"
    for one in sorted(left.keys() & now.defined.keys()):
        if left[one] != now.defined[one]:
            yield f"{'.'.join(one)} was altered since"
    yield from _changed_rows(bind, sorted(record.after & touched), record.same_as)


def _changed_rows(bind: Bind, tables: list[Key], since: Moment | None) -> Iterator[str]:
    if not tables:
        return
    unknown = f"whether rows of {names_of(tables)} were written since is not known"
    if since is None:
        yield unknown
        return
    try:
        summaries = summaries_of(bind, tables, since)
    except SQLAlchemyError as error:
        yield f"{unknown}: {error}"
        return
    for table, summary in summaries.items():
        if summary:
            yield f"{'.'.join(table)}: {summary}"


def copies_of(record: RestoreRecord) -> dict[Key, Key]:
    """The tables before a restore, with the names of their copies."""
    names = [tuple(copy.copy.split(".", 1)) for copy in record.copies]
    return {
        table: (database, name)
        for table, (database, name) in zip(sorted(record.before), names, strict=True)
    }


def _job(record: RestoreRecord, now: _Now, *, safety_copy: bool, renew: bool) -> Job:
    replaced = sorted(now.ids.keys() - now.unchanged)
    pieces = tuple(
        Piece(table, copy, None)
        for table, copy in sorted(copies_of(record).items())
        if table not in now.unchanged
    )
    gone = sorted(piece.source for piece in pieces if piece.source not in now.copies)
    if gone:
        raise PitrNotFoundError(
            f"restore {record.id} cannot be undone, and nothing was sent: its safety copies are "
            f"not there any more: {names_of(gone)}. forget_copies(engine, ids=[{record.id}]) "
            "removes what is left of it"
        )
    back = {piece.table for piece in pieces}
    outside = [k for k in now.keys if k.parent in set(replaced) and k.table not in {*replaced}]
    lost = [key for key in outside if key.parent not in back]
    if lost:
        tables = ", ".join(sorted({".".join(key.table) for key in lost}))
        raise PitrRestoreError(
            f"restore {record.id} is not undone, and nothing was sent: foreign keys of {tables} "
            "refer to tables that were not there before it. Drop them first"
        )
    made = {  # by the restore, with what would be left in it
        database: sorted(one for one in now.named - {*replaced, *now.views} if one[0] == database)
        for database in sorted(now.databases - record.databases)
    }
    rebuild = Rebuild(
        pieces,
        children_first(replaced, now.keys),
        tuple(keys_to_drop(replaced, now.keys)),
        (*(key for key in record.keys if key.table in back), *outside),
        tuple(sorted({table[0] for table in back} - now.databases)),
        tuple(database for database, rest in made.items() if not rest),
        tuple(view for view in sorted(now.views) if record.views.get(view) != now.views[view]),
        tuple((v, t) for v, t in sorted(record.views.items()) if now.views.get(v) != t),
    )
    text = "in one transaction, all or nothing: the state before, from its copies"
    for database, rest in made.items():
        stays = f"; database {database} was not there, and stays because of {names_of(rest)}"
        text += stays if rest else f"; database {database}, which was not there, is dropped"
    steps = [RestoreStep("rebuild", text), RestoreStep("verify", "verify rows and indexes")]
    if renew:
        steps.append(RestoreStep("renew", "renew the policies that do not protect it any more"))
    ways = {**dict.fromkeys(replaced, "drop"), **dict.fromkeys(back, "clone")}
    return Job(
        scope=record.scope,
        at=None,
        steps=tuple(steps),
        sources={piece.table: back_quoted(*piece.source) for piece in pieces},
        ways=ways,
        before={table: now.ids[table] for table in replaced},
        objects={table: now.ids.get(table) for table in sorted(back | set(replaced))},
        keys=tuple(key for key in now.keys if key.table in set(replaced)),
        views=now.views,
        rebuild=rebuild,
        safety_copy=safety_copy,
        databases=tuple(sorted(now.databases)),
        undoes=record.id,
    )
