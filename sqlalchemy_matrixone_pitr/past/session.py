"""Sessions of the past, and objects of the past in sessions of the present.

:func:`past_session` is an ordinary Session whose engine has the execution option
``matrixone_as_of``: every table is read at its moment, those of lazy loads too, and a flush is
refused.

In a Session of the present, objects of the past are told from those of the present by SQLAlchemy's
*identity token*, which is the Moment: ``select(as_of(Order, moment))``, a statement with the option
``matrixone_as_of``, and ``session.get(Order, 1, identity_token=moment)`` all give such objects.
They have columns only. Their relationships raise: SQLAlchemy would look for related objects among
those of the present. These are the listeners of :func:`attach`, on the class Session, from the
first statement or element of that kind on.
"""

from __future__ import annotations

import functools
import sys
import weakref
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event, inspect
from sqlalchemy.engine import Engine
from sqlalchemy.sql import FromClause, visitors

from ..connections import ALLOW_UNPROTECTED, AS_OF, side_connection
from ..coverage.reading import check_past
from ..errors import PastError, PastWriteError, PitrValidationError
from ..moment import Moment, MomentLike
from ..names import shorten
from .elements import AsOf

if TYPE_CHECKING:
    from sqlalchemy.orm import InstanceState, ORMExecuteState, Session, sessionmaker

_moments: weakref.WeakKeyDictionary[InstanceState[Any], Moment] = weakref.WeakKeyDictionary()


def past_session(
    bind: Engine | sessionmaker[Any],
    moment: MomentLike,
    *,
    allow_unprotected: bool = False,
) -> Session:
    """A read-only Session in which everything is as it was at a moment: queries, lazy loads,
    ``selectinload``, relationships, inheritance.

    A flush raises :class:`PastWriteError`, and nothing is flushed unasked. Close the session as any
    other. Its objects know their moment (:func:`moment_of`).

    To bring an object back, merge it into a session of the present: what differs is written there.
    The relationships along which merge cascades come along, and collections become what they were::

        with past_session(engine, moment) as then, Session(engine) as session:
            session.merge(then.get(Order, 42))
            session.commit()

    :param bind: an Engine, or a sessionmaker, whose class and arguments are taken.
    :param allow_unprotected: read a moment that no policy and no snapshot keeps, too.
    :raises PitrValidationError: a moment in the future, or another bind.

    What keeps the moment is asked of each table when it is first read: see :func:`check_kept`.

    >>> from sqlalchemy import create_engine, text
    >>> engine = create_engine(url)
    >>> then = past_session(engine, Moment.now(engine), allow_unprotected=True)
    >>> then.scalar(text("SELECT 1"))
    1
    >>> then.close()
    """
    from sqlalchemy.orm import Session, sessionmaker

    at = Moment.of(moment)
    arguments = past_arguments(bind, at, allow_unprotected, maker=sessionmaker, engine=Engine)
    kind: Any = bind.class_ if isinstance(bind, sessionmaker) else Session
    made: Session = kind(**arguments)
    prepare(made, at, past_engines(arguments))
    return made


def past_arguments(
    bind: Any, moment: Moment, allow_unprotected: bool, *, maker: type, engine: type[Any]
) -> dict[str, Any]:
    """The arguments of a session of the past.

    :param maker: the class of session makers, and ``engine`` that of engines, which are taken.
    """
    options: dict[str, Any] = {AS_OF: moment}
    if allow_unprotected:
        options[ALLOW_UNPROTECTED] = True

    def of_past(one: Any) -> Any:
        if not issubclass(type(one), engine):
            raise PitrValidationError(
                f"a session of the past is made of {engine.__name__} or {maker.__name__}, not of "
                f"{shorten(one)}: a Connection or Session would read the past in everything else, "
                "too (asyncio: past_session_async)"
            )
        return one.execution_options(**options)

    if not isinstance(bind, maker):
        return {"bind": of_past(bind), "autoflush": False}
    arguments: dict[str, Any] = {**bind.kw, "autoflush": False}  # type: ignore[attr-defined]
    if arguments.get("bind") is not None:
        arguments["bind"] = of_past(arguments["bind"])
    if arguments.get("binds"):
        arguments["binds"] = {key: of_past(one) for key, one in arguments["binds"].items()}
    elif arguments.get("bind") is None:
        raise PitrValidationError("a session of the past needs a bind, and its maker has none")
    return arguments


def past_engines(arguments: Mapping[str, Any]) -> list[Engine]:
    """The engines in the arguments of a session of the past."""
    found = [arguments.get("bind"), *(arguments.get("binds") or {}).values()]
    return [getattr(one, "sync_engine", one) for one in found if one is not None]


def prepare(session: Session, moment: Moment, engines: Iterable[Engine]) -> None:
    """Make a session whose binds read the past a read-only one.

    :raises PitrValidationError: the moment lies in the future.
    """

    def remember(_: Session, instance: object) -> None:
        _moments[_state(instance)] = moment

    event.listen(session, "before_flush", _refuse_flush)
    event.listen(session, "loaded_as_persistent", remember)
    for engine in engines:
        with side_connection(engine) as connection:
            check_past(connection, moment)


def _state(instance: object) -> Any:
    return inspect(instance)


def _refuse_flush(session: Session, *_: Any) -> None:
    raise PastWriteError(
        "a session of the past is read-only, and has changes: merge its objects into a session of "
        "the present, session.merge(instance), and commit there"
    )


def moment_of(instance: object) -> Moment | None:
    """The moment that an object was read at; None where it is of the present.

    Also of a detached one, but not of a copy, as merge() and pickle make one.
    """
    state: Any = inspect(instance, raiseerr=False)
    if state is None or not hasattr(state, "identity_token"):
        raise PitrValidationError(f"moment_of takes a mapped object, not {shorten(instance)}")
    token = state.identity_token
    return token if isinstance(token, Moment) else _moments.get(state)


# ------------------------------------------------------------- objects of the past in the present


@functools.cache
def attach() -> None:
    """Listen on the class Session, once in a process."""
    from sqlalchemy.orm import Session

    event.listen(Session, "do_orm_execute", _on_orm_execute)
    event.listen(Session, "before_flush", _on_flush)


def attach_if_orm() -> None:
    """:func:`attach`, where the program uses the ORM."""
    if "sqlalchemy.orm.session" in sys.modules:
        attach()


def _on_orm_execute(orm: ORMExecuteState) -> None:
    if not orm.is_select:
        return
    token: Any = orm.load_options._identity_token
    moment = orm.execution_options.get(AS_OF)
    if moment is None and isinstance(token, Moment):
        moment = token
        orm.update_execution_options(**{AS_OF: moment})
    for option in orm.user_defined_options:
        if isinstance(option, _read_then()):
            moment = option.payload
            orm.update_execution_options(**{AS_OF: moment})
    if moment is None:
        moment = _moment_of_entities(orm.statement)
    if not isinstance(moment, Moment):
        return
    from sqlalchemy.orm import raiseload

    orm.update_execution_options(identity_token=moment)
    orm.statement = orm.statement.options(_read_then()(moment), raiseload("*"))


@functools.cache
def _read_then() -> Any:
    """The class of an option that goes along to what loads related objects."""
    from sqlalchemy.orm.interfaces import UserDefinedOption

    class ReadThen(UserDefinedOption):
        propagate_to_loaders = True

    return ReadThen


def _moment_of_entities(statement: Any) -> Moment | None:
    """The moment of the ``as_of()`` entities that a statement loads.

    :raises PastError: it loads entities of the present as well.
    """
    found: set[Any] = set()
    for column in getattr(statement, "_raw_columns", ()):
        if isinstance(column, FromClause) and "parententity" in column._annotations:
            moments = {one.moment for one in visitors.iterate(column) if isinstance(one, AsOf)}
            found.update(moments or {None})
    if len(found) > 1 and None in found:
        raise PastError(
            "this statement loads objects of the past and of the present, which a Session tells "
            "apart by statement: load them by two, or select columns of one of them"
        )
    return next(iter(found), None)


_REFUSED: Final = (
    "{0} was read as of {1}, and has changes: the past is not written. Assign to an object of the "
    "present, or read it in a past_session() and merge it"
)


def _on_flush(session: Session, *_: Any) -> None:
    for instance in (*session.new, *session.dirty, *session.deleted):
        token = _state(instance).identity_token
        if isinstance(token, Moment):
            raise PastWriteError(_REFUSED.format(shorten(instance), token))
