"""One client's session: its variables, and the dispatch of its statements."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ..errors import SqlError
from ..names import fold
from ..parsing import grammar
from ..parsing.assignments import Assignment, Reader
from ..parsing.lexer import tokens_of
from ..parsing.redact import unsupported
from ..parsing.scanner import Kind, Source, sources
from ..parsing.snapshots import RestoreSnapshot, ShowSnapshots
from ..pitr import internal
from ..pitr.prepared import Prepared, PreparedStatements, is_prepared, refused
from ..pitr.statements import PitrStatements
from ..statements.administration import is_administrative
from ..statements.storage import Event, Result, StorageSession
from ..system.accounts import Identity, no_privilege
from ..system.variables import Variables
from ..types.columns import Column
from ..wire.constants import Status
from .kinds import (
    answers_late,
    check_ending,
    check_start,
    is_not_planned,
    is_to_savepoint,
    refuse_in_transaction,
    sets_transaction,
)
from .state import Server
from .transaction import SessionTransaction

_PLAIN_VALUE = re.compile(r"([0-9]{1,18})|'([^'\\]*)'")
"""A value of a SET that needs no evaluation"""


@dataclass
class Outcome:
    """One result, with the status of the packets inside it and of the last one."""

    result: Result
    status: int
    end_status: int

    @property
    def columns(self) -> list[Column]:
        return self.result.columns


class Session:
    """The SessionContext of one client; used from that client's thread."""

    def __init__(self, server: Server, identity: Identity, connection_id: int) -> None:
        self._server = server
        self._set_identity(identity)
        self.connection_id = connection_id
        self.database = ""
        self.version_text = server.rules.version_text
        self.deadline_seconds = server.lock_timeout
        self.found_rows = False
        """Whether the client wants rows counted that an UPDATE leaves as they were"""
        self._variables = Variables(server.variables, server.clock.zone, server.rules)
        self.time_zone = self._variables.zone
        self._user_variables: dict[str, object] = {}
        self._shown_pitr = False
        self._storage = server.storage.session(self)
        self._transaction = SessionTransaction(self._storage, server.rules)
        self.pitr = PitrStatements(server, self._storage, self)
        self._prepared = PreparedStatements(server.rules, self._need_user_variable)

    # -- SessionContext ----------------------------------------------------------------

    @property
    def reported_account_id(self) -> int:
        """The account id; that of sys from SHOW PITR until the next planned statement has ended."""
        return 0 if self._shown_pitr else self.account_id

    @property
    def pending_events(self) -> Sequence[Event]:
        return self._storage.pending_events

    def variable(self, name: str, scope: str) -> object:
        return self._variables.get(name, scope)

    def variables(self, scope: str) -> dict[str, object]:
        return self._variables.shown(scope)

    def user_variable(self, name: str) -> object:
        if self._server.rules.unset_variables_are_null:
            return self._user_variables.get(name.lower())
        return self._need_user_variable(name)

    def _need_user_variable(self, name: str) -> object:
        """The value of a variable that is set, as PREPARE needs it."""
        try:
            return self._user_variables[name.lower()]
        except KeyError:
            raise SqlError.internal(f"the user variable {name} does not exist") from None

    def set_user_variable(self, name: str, value: object) -> None:
        self._user_variables[name.lower()] = value

    @property
    def status(self) -> Status:
        """The status of a packet that answers no statement."""
        return self._transaction.status

    # -- statements --------------------------------------------------------------------

    def execute(self, text: str) -> Iterator[Outcome]:
        """The results of a text of one or more statements, each as it is done.

        The whole text is read before anything of it runs.
        """
        try:
            yield from self._results(text)
        except SqlError as error:
            bare = self._server.rules.letters_need_no_quotes and not text.isascii()
            if error.code == 1064 and bare:
                raise unsupported(text) from None  # the words of this emulator are of ASCII
            raise

    def _results(self, text: str) -> Iterator[Outcome]:
        statements = sources(text)
        parsed = [grammar.parse(source, self._server.rules) for source in statements]
        if not statements:
            yield self._outcome(self._transaction.run_nothing())
        if len(statements) > 1:
            _check_syntax(
                self._storage, [s for s, p in zip(statements, parsed, strict=True) if p is None]
            )
        for number, (source, pitr) in enumerate(zip(statements, parsed, strict=True)):
            result = self._statement(source, pitr)
            self._shown_pitr = isinstance(pitr, grammar.ShowPitr) or (
                self._shown_pitr
                and (
                    (pitr is not None and not isinstance(pitr, ShowSnapshots))
                    or is_not_planned(source)
                )
            )
            yield self._outcome(
                result, more=number + 1 < len(statements), late=answers_late(source)
            )

    def use(self, database: str) -> Outcome:
        """Run COM_INIT_DB, which is a USE statement."""
        return self._outcome(self._transaction.run(lambda: self._use(database)))

    def connect_to(self, database: str) -> None:
        """Use the database of the handshake, which begins no transaction."""
        self._use(database)

    def watch(self, gone: Callable[[], bool]) -> None:
        """Set *gone*, which tells whether the client has left: nothing waits for it then."""
        self._storage.gone = gone

    def interrupt(self) -> None:
        """Interrupt the running statement; called from another thread."""
        self._storage.interrupt()

    def close(self) -> None:
        self._storage.close()

    def _outcome(self, result: Result, *, more: bool = False, late: bool = False) -> Outcome:
        inside, end = self._transaction.answer_status(more=more, late=late)
        return Outcome(result, inside, end)

    def _statement(self, source: Source, pitr: grammar.Statement | None) -> Result:
        first, second = source.words(2)
        check_ending(source)
        match first:
            case "commit":
                self._transaction.end(self._storage.commit)
                return Result([], [])
            case "rollback" if is_to_savepoint(source):
                if self._transaction.active:
                    self._storage.undo_last_statement()
                raise SqlError.internal(
                    "savepoint has not been implemented yet. please rollback the transaction."
                )
            case "rollback":
                self._transaction.end(self._storage.rollback)
                return Result([], [])
            case "savepoint" | "release":
                return Result([], [])
            case "begin" if second in ("", "work", "transaction"):
                self._transaction.begin()
                return Result([], [])
            case "start":
                check_start(source)
                self._transaction.begin()
                return Result([], [])
        if is_prepared(source):
            return self._statement_of_prepared(source)
        if pitr is not None:
            self._require_privilege(pitr)
        elif not self.identity.is_admin and any(t.word == "mo_catalog" for t in source.tokens):
            # Not even ALL ON ACCOUNT opens the catalogue. Other objects' privileges are not kept.
            raise no_privilege()
        if self._transaction.active:
            refuse_in_transaction(source, pitr, self._server.rules)
        if first == "set" and not is_administrative(source) and not sets_transaction(source):
            if self._server.rules.set_commits:
                return self._transaction.run(lambda: self._set(source), commits=True)
            return self._set(source)
        # LOCK TABLES locks nothing, but where it may run in a transaction (4.x), it ends it;
        # statements about accounts always do.
        ends = is_administrative(source) or (
            first in ("lock", "unlock") and self._server.rules.tables_lock_inside_transactions
        )
        return self._transaction.run(lambda: self._ordinary(source, pitr), commits=ends)

    def _statement_of_prepared(self, source: Source) -> Result:
        match source.words(1)[0]:
            case "prepare":
                inside = self._transaction.active
                return self._transaction.run(
                    lambda: self._prepare(source, inside_transaction=inside)
                )
            case "execute":
                named = self._prepared.find(source)
                if named is not None and self._transaction.active:
                    refuse_in_transaction(named.source, named.statement, self._server.rules)
                return self._transaction.run(lambda: self._execute_prepared(source))
        return self._transaction.run(lambda: self._prepared.deallocate(source))

    def _prepare(self, source: Source, *, inside_transaction: bool) -> Result:
        name, inner, statement = self._prepared.read(source)
        self._require_privilege(statement)
        if inside_transaction:
            refuse_in_transaction(inner, statement, self._server.rules)
        error = refused(statement, self._server.rules)
        if error is not None:
            raise error
        object_id = 0
        if isinstance(statement, grammar.CreatePitr):
            object_id = internal.check(self.identity, statement, self.pitr)
        elif isinstance(statement, grammar.ShowPitr | ShowSnapshots):
            self.pitr.execute(statement)
        self._prepared.keep(name, Prepared(inner, statement, object_id))
        return Result([], [])

    def _execute_prepared(self, source: Source) -> Result:
        found = self._prepared.executed(source)
        object_id: int | None = found.object_id
        late = self._server.rules.internal_checked_when_executed
        if isinstance(found.statement, grammar.CreatePitr) and late:
            # 3.x goes on with what it found at PREPARE.
            object_id = internal.check(self.identity, found.statement, self.pitr)
        return self.pitr.execute(found.statement, object_id)

    def _require_privilege(self, pitr: grammar.Statement) -> None:
        """Refuse users without the right; CREATE, ALTER and DROP need the role itself."""
        if isinstance(pitr, grammar.ShowRecoveryWindow):
            return
        if isinstance(
            pitr,
            grammar.ShowPitr | grammar.RestorePitr | ShowSnapshots | RestoreSnapshot,
        ):
            allowed = self._server.accounts.may_all(self.identity)
        else:
            allowed = self.identity.is_admin
        if not allowed:
            raise no_privilege()

    # -- kinds of statements -----------------------------------------------------------

    def _ordinary(self, source: Source, pitr: grammar.Statement | None) -> Result:
        if pitr is not None:
            return self.pitr.execute(pitr)
        administrative = self._server.administration.execute(
            source, self.identity, self._set_identity
        )
        if administrative is not None:
            return administrative
        words = source.words(2)
        match words[0]:
            case "use":
                return self._use(self._use_name(source))
            case "set":
                return Result([], [])
            case "kill":
                return self._kill(source)
            case "lock" | "unlock" if words[1] == "tables":
                return Result([], [])
        try:
            return self._storage.execute(source.statement, tokens_of(source))
        except SqlError as error:
            raise source.placed(error) from None

    def _set_identity(self, identity: Identity) -> None:
        self.identity = identity
        self.account = identity.account
        self.account_id = identity.account_id
        self.user = identity.user
        self.role = identity.role

    def _use_name(self, source: Source) -> str:
        token = source.tokens[1]
        if token.kind is Kind.END:
            raise unsupported(source.statement)
        if token.kind not in (Kind.WORD, Kind.QUOTED):
            raise source.error(token)
        if source.tokens[2].kind is not Kind.END:
            raise source.error(source.tokens[2])
        return token.value

    def _use(self, name: str) -> Result:
        if self._storage.find_database(fold(name)) is None:
            raise SqlError(1049, f"Unknown database {name}")
        self.database = name
        return Result([], [])

    def _kill(self, source: Source) -> Result:
        number = next((t.value for t in source.tokens if t.kind is Kind.INTEGER), "")
        if not number:
            raise source.error(source.tokens[1])
        if not self._server.kill(int(number), self.account_id):
            raise SqlError.internal(f"Unknown connection id {number}")
        return Result([], [])

    def _set(self, source: Source) -> Result:
        for assignment in Reader(source, self._server.rules).assignments():
            self._assign(assignment)
        return Result([], [])

    def _assign(self, assignment: Assignment) -> None:
        value = self._value(assignment)
        name = assignment.name.lower()
        if assignment.scope == "user":
            self.set_user_variable(name, value)
            return
        self._variables.set(name, value, assignment.scope)
        self.time_zone = self._variables.zone
        if name == "autocommit" and assignment.scope == "session":
            self._transaction.set_autocommit(self._variables.get(name, "session") == "1")

    def _value(self, assignment: Assignment) -> object:
        if assignment.bare:
            is_default = assignment.value.lower() == "default"
            return None if is_default else assignment.value.strip("`")
        if plain := _PLAIN_VALUE.fullmatch(assignment.value):
            self._storage.pass_over()
            self._transaction.value_evaluated()
            return int(plain[1]) if plain[1] else plain[2]
        rows = self._storage.execute(f"SELECT {assignment.value}").rows
        self._transaction.value_evaluated()
        return rows[0][0] if rows else None


def _check_syntax(storage: StorageSession, statements: list[Source]) -> None:
    """Refuse what cannot be read: the server reads the whole text before it runs any of it."""
    for source in statements:
        if is_administrative(source):
            continue
        try:
            storage.check_syntax(source.statement, tokens_of(source))
        except SqlError as error:
            if error.is_syntax:
                raise source.placed(error) from None
