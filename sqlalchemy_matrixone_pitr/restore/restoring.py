"""Tables or a database as they were, with a way back: :func:`restore`."""

from __future__ import annotations

from .. import server
from ..connections import Bind
from ..declarations import Databases
from ..errors import PitrRestoreError
from ..locking import DEFAULT_TIMEOUT, account_lock
from ..moment import Moment, MomentLike
from ..past.copies import own_engine
from ..past.opening import to_moment
from ..show import reading, typed_errors
from .facts import read_text
from .preview import Options, Prepared, RestorePreview, check_of, check_same, prepare
from .report import OnRestoreProgress, RestoreReport
from .targets import RestoreTarget, find_scope
from .undoing import undo_restore
from .work import Job, Work


def restore(
    bind: Bind,
    target: RestoreTarget,
    at: MomentLike | str,
    *,
    preview: RestorePreview | None = None,
    safety_copy: bool = True,
    renew: bool = True,
    on_progress: OnRestoreProgress | None = None,
    by_restore: bool | None = None,
    compare_rows: bool = False,
    allow_unprotected: bool = False,
    timeout: float = DEFAULT_TIMEOUT,
) -> RestoreReport:
    """Bring tables or a database back as they were at a moment, verified, and with a way back.

    At once, on connections of its own, under the account lock: not inside a transaction. By
    RESTORE, or, where RESTORE would say OK and do nothing, lose something or bring broken indexes,
    by copies in one transaction: see :func:`preview_restore`, which says beforehand what is done.

    What is there now is cloned aside before, into the database ``matrixone_pitr``;
    ``report.undo()`` or :func:`undo_restore` bring it back, and :func:`forget_copies` drops it.

    :param target: a Table, a mapped class, ``"db.table"``, a database's name, or several tables,
        which are restored together: all of them or, where copies are made, none.
    :param at: a Moment, an aware datetime, nanoseconds, or text as :meth:`Moment.parse` reads it.
    :param preview: of :func:`preview_restore`, to be refused where tables, foreign keys or policies
        have changed since.
    :param safety_copy: False cannot be undone.
    :param renew: renew the policies that do not protect the target any more.
    :param on_progress: called before and after each step, also after one that failed.
    :param by_restore: False never uses RESTORE.
    :param compare_rows: compare each row with what it was, not their number alone.
    :param allow_unprotected: restore what nothing surely keeps, too.
    :param timeout: seconds to wait for the account lock.
    :raises PitrRestoreError: a problem of the preview, or the preview is stale, and nothing was
        sent; or a step failed: ``error.report`` says what is where. It can be called again.
    :raises PitrTransactionError: the bind is in a transaction.
    :raises PitrLockTimeoutError: another program held the lock; nothing was sent.

    >>> import time
    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> with engine.begin() as conn:
    ...     made = conn.execute(text("CREATE TABLE crates (id INT PRIMARY KEY)"))
    ...     made = conn.execute(text("INSERT INTO crates VALUES (1), (2)"))
    ...     made = conn.execute(CreatePitr(Pitr.table("crates_week", "crates", "7d")))
    >>> time.sleep(1.1)  # policies know seconds
    >>> now = Moment.now(engine)
    >>> with engine.begin() as conn:
    ...     gone = conn.execute(text("DELETE FROM crates WHERE id = 1"))
    >>> report = restore(engine, f"{engine.url.database}.crates", now)
    >>> report.ok, [table.rows for table in report.tables], report.renewed
    (True, [2], ['crates_week__g2'])
    >>> undone = report.undo()
    >>> [table.rows for table in undone.tables]
    [1]
    >>> len(forget_copies(engine, ids=[report.id, undone.id]))
    2
    """
    found = own_engine(bind, "restore()")
    scope = find_scope(target, Databases.of(bind))
    options = Options(by_restore, allow_unprotected, safety_copy, renew)
    with account_lock(found, timeout):
        with reading(found) as connection, typed_errors():
            moment = to_moment(at, Moment(server.clock(connection)))
            wanted = None if preview is None else check_of(preview, scope, moment)
            made = prepare(connection, scope, moment, options)
        if wanted is not None:
            check_same(wanted, made.preview)
        if not made.preview.ok:
            problems = "\n".join(f"  {problem}" for problem in made.preview.problems)
            raise PitrRestoreError(f"{scope} is not restored, and nothing was sent:\n{problems}")
        return Work(
            found.engine, _job(made, options, compare_rows), undo_restore, on_progress
        ).run()


def _job(made: Prepared, options: Options, compare_rows: bool) -> Job:
    facts = made.facts
    present = set(facts.present)
    return Job(
        scope=facts.scope,
        at=facts.at,
        steps=made.preview.steps,
        sources={table: read_text(table, facts.at) for table in facts.restored},
        ways={table: str(way) for table, way in made.decision.ways.items()},
        before={table: facts.now.ids[table] for table in facts.present},
        objects={
            **{table: facts.now.ids.get(table) for table in facts.restored},
            **{key: facts.now.ids.get(key) for key in facts.scope.objects},
        },
        keys=tuple(key for key in facts.now.keys if key.table in present),
        views=facts.views[0],
        restores=made.restores,
        rebuild=made.rebuild,
        safety_copy=options.safety_copy,
        databases=tuple(d for d in facts.scope.databases if (d, None) in facts.now.ids),
        compare_rows=compare_rows,
    )
