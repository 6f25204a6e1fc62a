"""PREPARE ... FROM 'text', EXECUTE and DEALLOCATE PREPARE, of PITR statements.

Other statements stay refused: the server plans them when they are prepared, and the emulator knows
no plans.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import SqlError
from ..names import fold
from ..parsing import grammar, snapshots
from ..parsing.redact import unsupported
from ..parsing.scanner import Kind, Source, Token, sources
from ..statements.storage import Result
from ..versions.rules import Rules

_TRANSACTIONS = frozenset(("begin", "start", "commit", "rollback"))


@dataclass(frozen=True)
class Prepared:
    """A statement; *object_id* is what its planning found, for CREATE PITR."""

    source: Source
    statement: grammar.Statement
    object_id: int = 0


class PreparedStatements:
    """Prepared statements of one session, by name."""

    def __init__(self, rules: Rules, variable: Callable[[str], object]) -> None:
        self._rules = rules
        self._variable = variable
        self._by_name: dict[str, Prepared] = {}

    def read(self, source: Source) -> tuple[str, Source, grammar.Statement]:
        """Read PREPARE name FROM text: the name, the statement, and the statement parsed."""
        name = self._name(source, 1)
        if source.tokens[2].word != "from":
            raise source.error(source.tokens[2])
        if self._rules.prepare_drops_first:
            # There the old one is gone whatever comes of the new one.
            self._by_name.pop(name, None)
        inner = self._inner(source)
        if not inner.tokens[:-1]:
            raise SqlError.internal("statement: ''")
        try:
            statement = grammar.parse(inner, self._rules)
        except SqlError as error:
            raise _as_prepared(error) from None
        if statement is None:
            if inner.words(1)[0] in _TRANSACTIONS:
                raise SqlError(20301, "invalid input: cannot prepare TCL and DCL statement")
            raise unsupported(source.statement)
        return name, inner, statement

    def keep(self, name: str, prepared: Prepared) -> None:
        self._by_name[name] = prepared

    def find(self, source: Source) -> Prepared | None:
        """The statement that EXECUTE names; None where there is none."""
        return self._by_name.get(self._name(source, 1))

    def executed(self, source: Source) -> Prepared:
        """The statement that EXECUTE runs; a refusal is raised."""
        name, behind = self._name(source, 1), source.tokens[2]
        found = self._by_name.get(name)
        if behind.kind is not Kind.END and behind.word != "using":
            raise source.error(behind)
        if found is None:
            raise SqlError(20400, f"invalid state prepared statement '{name}' does not exist")
        if behind.word == "using":
            # PITR statements have no parameters: literals only.
            raise SqlError(20301, "invalid input: Incorrect arguments to EXECUTE")
        return found

    def deallocate(self, source: Source) -> Result:
        """Run DEALLOCATE PREPARE name or DROP PREPARE name."""
        if source.tokens[1].word != "prepare":
            raise source.error(source.tokens[1])
        name = self._name(source, 2)
        if source.tokens[3].kind is not Kind.END:
            raise source.error(source.tokens[3])
        if self._by_name.pop(name, None) is None and self._rules.deallocate_checks_name:
            text = f"Unknown prepared statement handler ({name}) given to DEALLOCATE PREPARE"
            raise SqlError(1243, text)
        return Result([], [])

    def _inner(self, source: Source) -> Source:
        first: Token = source.tokens[3]
        behind = source.tokens[4:]
        if first.kind is Kind.STRING and behind[0].kind is Kind.END:
            text = first.value
        elif first.kind is Kind.OTHER and first.value == "@":
            if not self._rules.prepare_from_variables:
                raise source.error(first._replace(end=behind[0].end))
            value = self._variable(source.text(behind[0].start, source.tokens[-2].end))
            if not isinstance(value, str):
                raise unsupported(source.statement)
            text = value
        elif first.kind is Kind.WORD:
            return Source(source.raw, source.tokens[3:])
        else:
            raise source.error(first)
        found = sources(text)
        if len(found) > 1:
            raise SqlError(20301, f"invalid input: {self._rules.several_statements_prepared}")
        return found[0] if found else Source("", [Token(Kind.END, "", 0, 0, 0)])

    @staticmethod
    def _name(source: Source, at: int) -> str:
        token = source.tokens[at]
        if token.kind not in (Kind.WORD, Kind.QUOTED):
            raise source.error(token)
        return fold(token.value)


def is_prepared(source: Source) -> bool:
    """Whether it is one of these statements."""
    first, second = source.words(2)
    return first in ("prepare", "execute", "deallocate") or (first, second) == ("drop", "prepare")


def refused(statement: grammar.Statement, rules: Rules) -> SqlError | None:
    """Refusal of the PITR statements that the server has no plan for; 2.x only plans SHOW PITR."""
    match statement:
        case grammar.CreatePitr(name, _, length, unit, quiet) if not rules.pitrs_are_prepared:
            name = f"if not exists {name}" if quiet else name
            target = _target(statement)
            if statement.table:
                target = f"table {statement.database}.{statement.table}"
            shown = f"create pitr {name} for {target} range {length}  {unit}"
        case grammar.DropPitr(name, quiet) if not rules.pitrs_are_prepared:
            shown = f"drop pitr {'if exists ' if quiet else ''}{name}"
        case grammar.AlterPitr(name, length, unit, quiet):
            shown = f"alter pitr {'if exists ' if quiet else ''}{name} range {length}  {unit}"
        case grammar.ShowRecoveryWindow():
            shown = f"show recovery_window for {_target(statement)}"
        case grammar.RestorePitr(name, time):
            target = _target(statement)
            if target == "account":
                target = "self account"
            shown = f"restore {target} from pitr {name} timestamp = {time}"
            if statement.source_account:
                return unsupported(f"PREPARE of {shown}")
        case snapshots.CreateSnapshot(name, level, quiet):
            name = f"if not exists {name}" if quiet else name
            shown = f"create snapshot {name} for {level}"
            if level != "cluster":
                parts = (statement.account, statement.database, statement.table)
                shown += f" {'.'.join(part for part in parts if part)}"
        case snapshots.DropSnapshot(name, quiet):
            shown = f"drop snapshot {'if exists ' if quiet else ''}{name}"
        case snapshots.RestoreSnapshot(name):
            return unsupported(f"PREPARE of a RESTORE from snapshot {name}")
        case _:
            return None
    return SqlError.internal(f"statement: '{shown}'")


def _target(
    statement: grammar.CreatePitr | grammar.RestorePitr | grammar.ShowRecoveryWindow,
) -> str:
    if statement.level == "cluster":
        return "cluster"
    parts = []
    if statement.account or statement.level == "account":
        parts.append(f"account {statement.account}".rstrip())
    if statement.database:
        parts.append(f"database {statement.database}")
    if statement.table:
        parts.append(f"table {statement.table}")
    return " ".join(parts)


def _as_prepared(error: SqlError) -> SqlError:
    """Turn a syntax error into the inner parser's own text."""
    if not error.is_syntax:
        return error
    return SqlError(1105, error.message.removeprefix("SQL parser error: "))
