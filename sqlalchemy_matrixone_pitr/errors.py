"""The exceptions of this package, and the one place that turns a server's error into one.

::

    sqlalchemy.exc.SQLAlchemyError
    └── PitrError
        ├── PitrValidationError      bad input, refused before anything is sent; also a ValueError
        ├── PitrNotFoundError        no PITR of that name in this account
        ├── PitrAlreadyExistsError   the name, or the object's protection, is there already
        ├── PitrTargetError          the object to protect is missing, or belongs to the system
        ├── PitrPermissionError      this account or role may not do that
        ├── PitrTransactionError     not possible in this state of the transaction
        ├── PitrAfterCommitError     committed, but its PITR statements are not all done
        ├── PitrLockTimeoutError     another program holds the account's lock
        ├── PitrUnprotectedError     a destructive step that nothing could undo
        ├── PitrUnsupportedError     not a MatrixOne server, or one that is too old
        ├── PitrRestoreError         the restore was refused
        └── PastError                the past cannot be read so
            ├── PastWriteError       a change, where all is read as of a moment
            ├── PastNotKeptError     nothing keeps that moment: an empty past says nothing
            └── PastConflictError    rows cannot be put back beside what is there now

    SAWarning
    └── PastNotKeptWarning           nothing keeps that moment, and it is still there for a while

Every PitrError carries ``name`` (the PITR), ``errno`` (the server's code), ``statement`` and
``orig`` (the driver's exception); its ``__cause__`` is SQLAlchemy's
:class:`~sqlalchemy.exc.DBAPIError` where the server was asked.
Source of codes and texts: docs/server.md, The commit rule; Checks of CREATE; RESTORE; Error texts.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.exc import DBAPIError, SAWarning, SQLAlchemyError

if TYPE_CHECKING:
    from .past.conflicts import UndoConflict
    from .transaction import TransactionalDDLElement


class PitrError(SQLAlchemyError):
    """Base of every error of this package.

    >>> Pitr.account("nightly", "200d")
    Traceback (most recent call last):
    ...
    sqlalchemy_matrixone_pitr.errors.PitrValidationError: ...
    >>> from sqlalchemy import create_engine
    >>> try:
    ...     PitrManager(create_engine(url)).get("nightly")
    ... except PitrError as error:
    ...     type(error).__name__, error.name
    ('PitrNotFoundError', 'nightly')

    :param message: what went wrong: the value, the limit and what to do.
    :param name: the PITR's name, where one is concerned.
    :param errno: the server's error code, where the server answered.
    :param statement: the SQL text that was refused, where one was sent.
    :param orig: the driver's own exception.
    """

    def __init__(
        self,
        message: str = "",
        *,
        name: str | None = None,
        errno: int | None = None,
        statement: str | None = None,
        orig: BaseException | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        self.errno = errno
        self.statement = statement
        self.orig = orig


class PitrValidationError(PitrError, ValueError):
    """A value breaks a rule; nothing was sent (or the server itself called the value invalid)."""


class PitrNotFoundError(PitrError):
    """This account has made no PITR of that name."""


class PitrAlreadyExistsError(PitrError):
    """The name is taken, or the object already has an active PITR of this creator."""


class PitrTargetError(PitrError):
    """The account, database or table is missing, or is one of the system's own."""


class PitrPermissionError(PitrError):
    """The account or its active role lacks the privilege."""


class PitrTransactionError(PitrError):
    """The statement does not fit the state of the transaction."""


class PitrLockTimeoutError(PitrError):
    """The account lock, which keeps programs from changing policies at once, was not free in time.

    Nothing was sent.
    """


class PitrUnprotectedError(PitrError):
    """A migration would drop what no policy could bring back; the operation was not sent."""


class PitrUnsupportedError(PitrError):
    """The server is not MatrixOne, or is older than 2.1."""


class PitrRestoreError(PitrError):
    """The server refused to restore."""


class PastError(PitrError):
    """A read of the past that MatrixOne would answer with something else; nothing was sent."""


class PastWriteError(PastError):
    """A change where everything is read as of a moment; nothing was sent."""


class PastNotKeptError(PastError):
    """No policy and no snapshot keeps the history of a moment.

    MatrixOne answers OK once it is gone, with no rows; or, as long as its caches are not empty,
    with error 20405, "file ... is not found", which is this error too.
    """


class PastConflictError(PastError):
    """Rows of the past cannot be put back beside what is there now; nothing was written.

    :ivar conflicts: which rows, and why; at most a thousand of them.
    """

    def __init__(self, message: str = "", *, conflicts: Sequence[UndoConflict] = ()) -> None:
        super().__init__(message)
        self.conflicts = tuple(conflicts)


class PastNotKeptWarning(SAWarning):
    """No policy and no snapshot keeps the history of a moment, which the server has not collected
    yet, as far as its default settings tell.

    >>> import warnings
    >>> with warnings.catch_warnings(action="error", category=PastNotKeptWarning):
    ...     pass  # what is probable only is an error here
    """


class PitrAfterCommitError(PitrError):
    """The transaction **is committed**, but not all of its PITR statements took effect.

    Its rows and tables are stored and stay stored: ``rollback()`` on the connection is still needed
    before further work, as after any failed commit, and undoes nothing.

    >>> from sqlalchemy import create_engine
    >>> with create_engine(url).connect() as conn:
    ...     result = conn.execute(CreatePitr(Pitr.database("d", "7d", database_name="nowhere")))
    ...     try:
    ...         conn.commit()
    ...     except PitrAfterCommitError as error:
    ...         conn.rollback()
    ...         [element.name for element in error.failed], type(error.__cause__).__name__
    (['d'], 'PitrTargetError')

    :ivar done: elements that took effect, in order.
    :ivar failed: elements that the server refused; ``__cause__`` says why.
    :ivar unknown: elements whose answer was lost with the connection: read back, then try again.
    :ivar not_tried: elements that were never sent.
    """

    def __init__(
        self,
        message: str = "",
        *,
        done: Sequence[TransactionalDDLElement] = (),
        failed: Sequence[TransactionalDDLElement] = (),
        unknown: Sequence[TransactionalDDLElement] = (),
        not_tried: Sequence[TransactionalDDLElement] = (),
        name: str | None = None,
        errno: int | None = None,
        statement: str | None = None,
        orig: BaseException | None = None,
    ) -> None:
        super().__init__(message, name=name, errno=errno, statement=statement, orig=orig)
        self.done = tuple(done)
        self.failed = tuple(failed)
        self.unknown = tuple(unknown)
        self.not_tried = tuple(not_tried)


_IN_TRANSACTION = (
    "MatrixOne refuses every PITR statement, SHOW PITR included, inside a transaction. Execute "
    "CreatePitr, AlterPitr or DropPitr instead of text: they take effect when the transaction "
    "commits; read with get_pitrs(), which uses a connection of its own"
)

_UNCLASSIFIED: Final = r"unclassified statement appears in uncommitted transaction"

# (text of the server's message without "internal error: ", class, what to do); first match wins.
_RULES: tuple[tuple[re.Pattern[str], type[PitrError], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL), error, remedy)
    for pattern, error, remedy in (
        (
            _UNCLASSIFIED,
            PitrTransactionError,
            _IN_TRANSACTION,
        ),
        (
            r"savepoint has not been implemented yet",
            PitrTransactionError,
            "the transaction has lost its last statement: roll the whole transaction back",
        ),
        (
            r"^do not have privilege to execute the statement",
            PitrPermissionError,
            "use the account's administrator, with the role moadmin (sys) or accountadmin active",
        ),
        (
            r"^only sys tenant can create cluster level pitr",
            PitrPermissionError,
            "connect as the sys account, or protect level='account'",
        ),
        (
            r"^only sys tenant can create tenant level pitr for other tenant",
            PitrPermissionError,
            "leave account_name out to protect the current account",
        ),
        (
            r"^only sys account can ",
            PitrPermissionError,
            "leave account_name out, or connect as the sys account",
        ),
        (
            r"^invalid pitr value ",
            PitrValidationError,
            "a range is a whole number from 1 to 100",
        ),
        (r"^invalid pitr unit ", PitrValidationError, "a unit is one of h, d, mo, y"),
        (r"^pitr name is reserved", PitrValidationError, "choose another name"),
        (
            r"^invalid input$",
            PitrValidationError,
            "a name may not contain a blank, a tab or a quotation mark on this server",
        ),
        (
            r"^pitr .+ already exists",
            PitrAlreadyExistsError,
            "names are per account, not per database: choose another name, or alter that PITR",
        ),
        (
            r"^(cluster level pitr already exists|account `.*` already has a pitr"
            r"|database `.*` already has a pitr|database `.*` table `.*` already has a pitr)",
            PitrAlreadyExistsError,
            "one active PITR per object: alter it, or drop it first",
        ),
        (
            r"^can not create pitr for current (database|table) ",
            PitrTargetError,
            "system databases cannot be protected one by one; an account-level PITR covers them",
        ),
        (
            r"^pitr .+ is not allowed to restore |^can not restore (account|sys account) "
            r"|^restore level \S+ is not allowed for ",
            PitrRestoreError,
            "restore from a PITR whose level contains the target",
        ),
        (
            r"^input timestamp .* is less than the pitr ",
            PitrRestoreError,
            "choose a later moment: after the PITR's creation and within its range",
        ),
        (
            r"^input timestamp .* is bigger than now timestamp ",
            PitrRestoreError,
            "choose a moment that has passed on the server's clock",
        ),
        (
            r"^database .* can not be restore",
            PitrRestoreError,
            "system databases cannot be restored",
        ),
        (
            r"does not exists? at timestamp",
            PitrRestoreError,
            "the object did not exist at that moment: choose another one",
        ),
        (
            r"^parsing time ",
            PitrRestoreError,
            "give an aware datetime, or the server's own text 'YYYY-MM-DD HH:MM:SS[.ffffff]'",
        ),
        (
            r"^pitr .+ does not exist",
            PitrNotFoundError,
            "names belong to the account that made them: list them with get_pitrs()",
        ),
        (
            r"^(account|database|table) .* does not exist",
            PitrTargetError,
            "create the object first, in a transaction that commits no later than the PITR's",
        ),
    )
)


GONE: Final = 20405
"""The server's error where the files of what is read were removed: "file ... is not found"."""


def driver_code_and_text(orig: BaseException | None) -> tuple[int | None, str]:
    """The server's error code and text of a driver's exception.

    pymysql, aiomysql and asyncmy put ``(code, text)`` into ``args``; some wrap it once more.

    >>> driver_code_and_text(Exception(20101, "internal error: invalid input"))
    (20101, 'internal error: invalid input')
    """
    args: tuple[Any, ...] = orig.args if orig is not None else ()
    if args and isinstance(args[0], Exception):
        args = args[0].args
    if len(args) == 1 and isinstance(args[0], tuple):
        args = args[0]
    code = args[0] if args and isinstance(args[0], int) else None
    text = args[1] if len(args) > 1 and isinstance(args[1], str) else str(orig or "")
    return code, text


def classify(code: int | None, text: str) -> tuple[type[PitrError], str] | None:
    """The class and the remedy for a server's answer, or None where it is none of PITR's.

    >>> classify(20101, "internal error: pitr p already exists")[0].__name__
    'PitrAlreadyExistsError'
    """
    if code not in (20101, 1105):
        return None
    message = text.removeprefix("internal error: ")
    for pattern, error, remedy in _RULES:
        if pattern.search(message):
            return error, remedy
    return None


def answered_by_server(error: DBAPIError) -> bool:
    """Whether the server itself refused: then the statement had no effect and the line is in step.

    Client-side errors (codes 2000 to 2999, or none at all) leave the outcome unknown.
    """
    code, _ = driver_code_and_text(error.orig)
    return (
        code is not None
        and code > 0
        and not 2000 <= code < 3000
        and code != _IDLE_TOO_LONG
        and not error.connection_invalidated
    )


_NOT_THERE: Final = re.compile(
    r"no such table |Unknown database|No database selected"
    r"|(table|column) .+ does not exist|Unknown column",
    re.IGNORECASE,
)


def is_not_there(error: DBAPIError) -> bool:
    """Whether the server says that a database, table or column of a query does not exist.

    Of a moment before it was made, and of one before the server's first, it says no more.
    """
    code, text = driver_code_and_text(error.orig)
    known = code in (1046, 1049, 1054, 1064, 1146, 20301)
    return answered_by_server(error) and known and _NOT_THERE.search(text) is not None


_IDLE_TOO_LONG: Final = 4031
"""The server's word as it hangs up on a client: no answer to the statement on its way."""


def server_answer(
    error: BaseException,
    *,
    statement: str | None = None,
    outside: BaseException | None = None,
) -> DBAPIError | None:
    """The server's own refusal behind an exception, whatever exception a listener made of it.

    Only such an answer tells that a statement had no effect. None: a lost connection, an
    interruption, or an error of a listener after the statement ran. The outcome is unknown then
    until it is read back.

    It is looked for along ``__cause__`` and ``__context__``: a ``handle_error`` listener may raise
    the application's own class, and SQLAlchemy then chains it to the driver's exception alone, of
    which a DBAPIError is made here. Of several the earliest counts: a listener's own statement may
    have failed after ours. It may also have failed instead of ours, which ``statement`` excludes.

    :param statement: what was sent, as ``str(element)``; an answer to another statement is none.
    :param outside: what :func:`sys.exception` gave before the statement was sent: an exception that
        was being handled then says nothing about it.

    >>> server_answer(RuntimeError("a listener's own")) is None
    True
    """
    for found in _driver_errors(error, outside):
        if statement is None or found.statement is None or is_about(found, statement):
            return found if answered_by_server(found) else None
    return None


def is_about(error: DBAPIError, statement: str) -> bool:
    """Whether an error says that it is of this statement; one without a statement does not.

    :param statement: as ``str(element)``. What was sent may have a clause or a comment more.
    """
    sent = error.statement
    return sent is not None and sent.replace("%%", "%").startswith(statement)


def is_settled(error: BaseException, *, outside: BaseException | None = None) -> bool:
    """Whether nothing can be running on the server, and the line is in step, after an exception.

    So where the server refused, and where we did, before anything was sent.
    """
    if server_answer(error, outside=outside) is not None:
        return True
    return isinstance(error, PitrError) and not any(_driver_errors(error, outside))


def _driver_errors(error: BaseException, outside: BaseException | None) -> Iterator[DBAPIError]:
    """The database's errors in the chain of an exception, the earliest first."""
    chain: dict[int, BaseException] = {}
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and one is not outside and id(one) not in chain:
            chain[id(one)] = one
            left += (one.__cause__, one.__context__)
    wrapped = {id(one.orig) for one in chain.values() if isinstance(one, DBAPIError)}
    for one in reversed(chain.values()):
        if isinstance(one, DBAPIError):
            yield one
        elif isinstance(one, Exception) and id(one) not in wrapped:
            base = _drivers_base(one)
            if base is not None:
                yield _wrapped(one, base)


def _wrapped(error: Exception, base: type[Exception]) -> DBAPIError:
    """A driver's exception as SQLAlchemy wraps it, without its statement."""
    made = DBAPIError.instance(None, None, error, base)
    assert isinstance(made, DBAPIError)
    return made


_PEP_249: Final = ("Error", "InterfaceError", "DatabaseError", "OperationalError")


def _drivers_base(error: Exception) -> type[Exception] | None:
    """The driver's ``Error`` that an exception is one of: its module has PEP 249's other names."""
    for kind in type(error).__mro__:
        module = sys.modules.get(kind.__module__)
        if kind.__name__ == "Error" and all(hasattr(module, name) for name in _PEP_249):
            return kind
    return None


def is_name_taken(error: PitrAlreadyExistsError) -> bool:
    """Whether the name is taken, and not, or not yet looked at, the object protected already."""
    _, text = driver_code_and_text(error.orig)
    return re.search(r"pitr .+ already exists$", text) is not None


def is_refused_in_transaction(error: DBAPIError) -> bool:
    """Whether the server has refused a statement that it takes in no transaction."""
    return re.search(_UNCLASSIFIED, driver_code_and_text(error.orig)[1]) is not None


def from_dbapi_error(
    error: DBAPIError, *, name: str | None = None, statement: str | None = None
) -> PitrError | None:
    """The PitrError for a refused PITR element; None where the connection itself failed.

    :param error: SQLAlchemy's exception; raise the result ``from`` it.
    """
    if not answered_by_server(error):
        return None
    code, text = driver_code_and_text(error.orig)
    sent = statement if statement is not None else error.statement
    found = classify(code, text)
    if found is not None:
        kind, remedy = found
    elif is_not_there(error):
        kind, remedy = PitrError, ""
        if (sent or "").startswith("RESTORE"):
            kind = PitrRestoreError
            remedy = (
                "RESTORE of a database makes its views again, and fails as a whole where one "
                "refers to what is not there: restore() with by_restore=False leaves it out"
            )
    elif code == 1064:
        kind = PitrUnsupportedError
        remedy = "the server does not know this statement; PITR needs MatrixOne 2.1 or later"
    else:
        kind, remedy = PitrError, ""
    message = f"({code}) {text}" + (f"\nWhat to do: {remedy}." if remedy else "")
    if sent:
        message += f"\n[SQL: {sent}]"
    return kind(message, name=name, errno=code, statement=sent, orig=error.orig)
