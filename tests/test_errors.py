"""The class of every message that docs/server.md lists, from each driver's shape of it."""

from __future__ import annotations

import pickle

import asyncmy.errors
import pymysql.err
import pytest
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

import sqlalchemy_matrixone_pitr.errors as errors
from sqlalchemy_matrixone_pitr import (
    PitrAfterCommitError,
    PitrAlreadyExistsError,
    PitrError,
    PitrLockTimeoutError,
    PitrNotFoundError,
    PitrPermissionError,
    PitrRestoreError,
    PitrTargetError,
    PitrTransactionError,
    PitrUnprotectedError,
    PitrUnsupportedError,
    PitrValidationError,
)

MESSAGES: list[tuple[int, str, type[PitrError]]] = [
    (
        20101,
        "internal error: unclassified statement appears in uncommitted transaction",
        PitrTransactionError,
    ),
    (
        20101,
        "internal error: savepoint has not been implemented yet. please rollback the transaction.",
        PitrTransactionError,
    ),
    (
        20101,
        "internal error: do not have privilege to execute the statement",
        PitrPermissionError,
    ),
    (20101, "internal error: only sys tenant can create cluster level pitr", PitrPermissionError),
    (
        20101,
        "internal error: only sys tenant can create tenant level pitr for other tenant",
        PitrPermissionError,
    ),
    (
        20101,
        "internal error: only sys account can show other account's recovery window",
        PitrPermissionError,
    ),
    (
        20101,
        "internal error: can not restore sys account to new account x by pitr p",
        PitrRestoreError,
    ),
    (20101, "internal error: invalid pitr value 101", PitrValidationError),
    (20101, "internal error: invalid pitr unit w", PitrValidationError),
    (20101, "internal error: pitr name is reserved", PitrValidationError),
    (20101, "internal error: invalid input", PitrValidationError),
    (20101, "internal error: pitr orders_week already exists", PitrAlreadyExistsError),
    (20101, "internal error: cluster level pitr already exists", PitrAlreadyExistsError),
    (20101, "internal error: account `a` already has a pitr", PitrAlreadyExistsError),
    (20101, "internal error: database `d` already has a pitr", PitrAlreadyExistsError),
    (20101, "internal error: database `d` table `t` already has a pitr", PitrAlreadyExistsError),
    (20101, "internal error: account x does not exist", PitrTargetError),
    (20101, "internal error: database d does not exist", PitrTargetError),
    (20101, "internal error: table d.t does not exist", PitrTargetError),
    (20101, "internal error: can not create pitr for current database mysql", PitrTargetError),
    (20101, "internal error: can not create pitr for current table mysql.t", PitrTargetError),
    (20101, "internal error: pitr p does not exist", PitrNotFoundError),
    (1105, 'parsing time "x" as "2006-01-02 15:04:05": cannot parse "x"', PitrRestoreError),
    (
        20101,
        "internal error: input timestamp 2026-01-01 00:00:00 is less than the pitr valid time x",
        PitrRestoreError,
    ),
    (
        20101,
        "internal error: input timestamp x is less than the pitr range minest timestamp y",
        PitrRestoreError,
    ),
    (
        20101,
        "internal error: input timestamp x is bigger than now timestamp y",
        PitrRestoreError,
    ),
    (20101, "internal error: pitr p is not allowed to restore database d", PitrRestoreError),
    (20101, "internal error: pitr p is not allowed to restore table d.t", PitrRestoreError),
    (20101, "internal error: can not restore account a by pitr p", PitrRestoreError),
    (
        20101,
        "internal error: restore level table is not allowed for account restore",
        PitrRestoreError,
    ),
    (20101, "internal error: database mysql can not be restore", PitrRestoreError),
    (
        20101,
        "internal error: database 'd' does not exists at timestamp: 1763803846",
        PitrRestoreError,
    ),
]


def dbapi(orig: BaseException, *, lost: bool = False) -> DBAPIError:
    return OperationalError(
        "CREATE PITR `p` FOR CLUSTER RANGE 1 'd'", (), orig, connection_invalidated=lost
    )


@pytest.mark.parametrize(("code", "text", "kind"), MESSAGES, ids=[m[1] for m in MESSAGES])
def test_classes(code: int, text: str, kind: type[PitrError]) -> None:
    shapes = [
        pymysql.err.OperationalError(code, text),
        pymysql.err.InternalError(pymysql.err.OperationalError(code, text)),
        pymysql.err.ProgrammingError((code, text)),
    ]
    for orig in shapes:
        error = errors.from_dbapi_error(dbapi(orig), name="p")
        assert type(error) is kind
        assert error.errno == code
        assert error.name == "p"
        assert error.orig is orig
        assert error.statement == "CREATE PITR `p` FOR CLUSTER RANGE 1 'd'"
        assert text in str(error)
        assert "What to do:" in str(error)


def test_names_do_not_mislead_the_classes() -> None:
    text = "internal error: pitr already_exists does not exist"
    error = errors.from_dbapi_error(dbapi(pymysql.err.OperationalError(20101, text)))
    assert type(error) is PitrNotFoundError


def test_unknown_refusals_are_the_base_class() -> None:
    error = errors.from_dbapi_error(dbapi(pymysql.err.OperationalError(20101, "something new")))
    assert type(error) is PitrError
    error = errors.from_dbapi_error(dbapi(pymysql.err.ProgrammingError(1064, "SQL parser error")))
    assert type(error) is PitrUnsupportedError


@pytest.mark.parametrize(
    ("statement", "kind"),
    [("RESTORE DATABASE `d` FROM PITR `p` 't'", PitrRestoreError), ("SHOW PITR", PitrError)],
)
def test_what_is_not_there_is_no_syntax_error(statement: str, kind: type[PitrError]) -> None:
    """The server answers 1064 to both."""
    orig = pymysql.err.ProgrammingError(1064, 'SQL parser error: table "gone" does not exist')
    error = errors.from_dbapi_error(dbapi(orig), statement=statement)
    assert type(error) is kind
    assert "2.1 or later" not in str(error)


@pytest.mark.parametrize(
    "orig",
    [
        pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query"),
        pymysql.err.InterfaceError(0, ""),
        pymysql.err.InternalError("Packet sequence number wrong - got 1 expected 2"),
        OSError("broken pipe"),
    ],
)
def test_what_no_server_said_is_left_alone(orig: BaseException) -> None:
    assert errors.from_dbapi_error(dbapi(orig)) is None
    refused = pymysql.err.OperationalError(20101, "internal error: pitr p does not exist")
    assert errors.from_dbapi_error(dbapi(refused, lost=True)) is None


REFUSED = pymysql.err.OperationalError(20101, "internal error: pitr p already exists")
LOST = pymysql.err.OperationalError(2013, "Lost connection to MySQL server during query")


class ApplicationError(Exception):
    """An error that a program raises of its own, with a number of its own."""


class Error(ApplicationError):
    """An error of a program that calls it as drivers call theirs."""


def chained(
    error: BaseException,
    *,
    cause: BaseException | None = None,
    context: BaseException | None = None,
) -> BaseException:
    error.__cause__, error.__context__ = cause, context
    return error


def audit(orig: BaseException) -> DBAPIError:
    return OperationalError("INSERT INTO audit VALUES (1)", (), orig)


def of_both_kinds(orig: Exception) -> list[BaseException]:
    """As SQLAlchemy raises it, and as it raises what a listener made of it."""
    return [chained(dbapi(orig), cause=orig), chained(ApplicationError("x"), cause=orig)]


@pytest.mark.parametrize(
    "orig", [REFUSED, asyncmy.errors.OperationalError(20101, "internal error: invalid input")]
)
def test_the_servers_answer_behind_any_exception(orig: Exception) -> None:
    for error in of_both_kinds(orig):
        for found in (
            error,
            chained(ApplicationError(1), cause=error),
            chained(PitrError("x"), context=error),
            chained(KeyError(1), cause=chained(ValueError(), context=error)),
        ):
            answer = errors.server_answer(found, statement="CREATE PITR `p` FOR CLUSTER")
            assert answer is not None
            assert answer.orig is orig
            assert isinstance(answer, OperationalError)
            assert errors.is_settled(found)


@pytest.mark.parametrize(
    "error",
    [
        *of_both_kinds(LOST),
        *of_both_kinds(pymysql.err.OperationalError(4031, "disconnected because of inactivity")),
        *of_both_kinds(pymysql.err.InterfaceError(0, "")),
        *of_both_kinds(pymysql.err.InternalError("Packet sequence number wrong")),
        dbapi(REFUSED, lost=True),
        chained(ApplicationError(), cause=LOST, context=chained(audit(REFUSED), context=LOST)),
        UserWarning("a listener's, after the statement ran"),
        ApplicationError(20101, "internal error: not the server's"),
        Error(20101, "internal error: not a driver's"),
        KeyboardInterrupt(),
    ],
)
def test_no_answer_of_the_server(error: BaseException) -> None:
    assert errors.server_answer(error) is None
    assert not errors.is_settled(error)


def test_the_earliest_answer_counts() -> None:
    """Errors that came afterwards, such as a listener's own rollback, say nothing about ours."""
    assert errors.server_answer(chained(dbapi(LOST), context=dbapi(REFUSED))) is not None
    assert errors.server_answer(chained(dbapi(REFUSED), context=dbapi(LOST))) is None
    assert errors.server_answer(chained(audit(REFUSED), cause=LOST)) is None


def test_an_answer_to_another_statement() -> None:
    of_another = chained(audit(REFUSED), cause=REFUSED)
    assert errors.server_answer(of_another) is of_another
    assert errors.server_answer(of_another, statement="CREATE PITR `p`") is None
    percent = OperationalError("DROP PITR `a%%b` /* by us */", (), REFUSED)
    assert errors.server_answer(percent, statement="DROP PITR `a%b`") is percent


def test_what_was_being_handled_before_is_no_answer() -> None:
    before = chained(dbapi(REFUSED), cause=REFUSED)
    late = chained(UserWarning(), context=before)
    assert errors.server_answer(late, outside=before) is None
    assert not errors.is_settled(late, outside=before)
    assert errors.server_answer(late) is before


def test_our_own_refusal_is_settled() -> None:
    assert errors.is_settled(PitrValidationError("nothing was sent"))
    assert not errors.is_settled(chained(PitrError("x"), cause=dbapi(LOST)))


def test_a_chain_that_bites_its_tail() -> None:
    one, other = ApplicationError(), KeyError()
    chained(one, cause=other, context=other)
    chained(other, cause=one, context=one)
    assert errors.server_answer(one) is None
    long = chained(dbapi(REFUSED), cause=one)
    for _ in range(5000):
        long = chained(KeyError(), context=long)
    assert errors.server_answer(long) is not None


def test_tree_and_its_drawing() -> None:
    kinds = [
        PitrValidationError,
        PitrNotFoundError,
        PitrAlreadyExistsError,
        PitrTargetError,
        PitrPermissionError,
        PitrTransactionError,
        PitrAfterCommitError,
        PitrLockTimeoutError,
        PitrUnprotectedError,
        PitrUnsupportedError,
        PitrRestoreError,
    ]
    assert issubclass(PitrError, SQLAlchemyError)
    assert {kind for kind in vars(errors).values() if isinstance(kind, type)} >= set(kinds)
    assert errors.__doc__ is not None
    drawn = [line.split()[1] for line in errors.__doc__.splitlines() if "── Pitr" in line]
    assert drawn == ["PitrError", *[kind.__name__ for kind in kinds]]
    for kind in kinds:
        assert kind.__bases__[0] is PitrError
    assert issubclass(PitrValidationError, ValueError)


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(PitrAfterCommitError("m", done=["a"], name="p", errno=1)))  # type: ignore[list-item]
    assert (str(error), error.done, error.name, error.errno) == ("m", ("a",), "p", 1)
