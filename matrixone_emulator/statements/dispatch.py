"""Dispatch of ordinary statements to the parts that execute them."""

from __future__ import annotations

from itertools import pairwise

from sqlglot import exp

from ..compiler.query import Compiler
from ..errors import SqlError
from ..parsing import ddl as ddlparse, dialect
from ..parsing.ddl_statements import (
    AlterTable,
    CreateDatabase,
    CreateIndex,
    CreateTable,
    DropDatabase,
    DropIndex,
    DropTable,
    RenameTables,
    Statement,
    Truncate,
)
from ..parsing.lexer import Token, syntax_error, tokens
from ..parsing.redact import unsupported
from ..parsing.refusals import IntoVariables, has_into, into_variables, refuse_unparsable
from ..storage.records import Result
from .alter import alter_table
from .databases import create_database, drop_database
from .ddl import (
    create_index,
    create_table,
    create_view,
    drop_index,
    drop_tables,
    rename_table,
    truncate,
)
from .delete import Deleter
from .insert import Inserter
from .literals import literal_rows
from .show import show
from .update import Updater
from .workspace import Workspace


class StorageSession(Workspace):
    """One client's statements; used by that client's thread only."""

    def dispatch(self, statement: str, found: list[Token]) -> Result:
        first = found[0].upper if found else ""
        if first in ("SELECT", "WITH", "(", "VALUES"):
            return self._select(statement, found)
        if first in ("INSERT", "REPLACE", "UPDATE", "DELETE"):
            return self._change(statement, found, first)
        if first in ("SHOW", "DESC", "DESCRIBE", "EXPLAIN"):
            return show(self, statement, found)
        if first in ("CREATE", "DROP", "ALTER", "TRUNCATE", "RENAME"):
            return self._define(statement, found)
        self._refuse_unknown(statement, found)
        if first == "DO":
            raise SqlError(20105, f"not supported: do{statement[found[0].end :]}")
        raise unsupported(statement)

    def _refuse_unknown(self, statement: str, found: list[Token]) -> None:
        known = _KNOWN_WORDS | _EXECUTED | self.rules.more_statements
        if found and found[0].kind == "word" and found[0].upper not in known:
            raise syntax_error(statement, found, 0)

    def check_syntax(self, statement: str, found: list[Token]) -> None:
        """Read an ordinary statement without running it."""
        first = found[0].upper if found else ""
        if first in ("SELECT", "WITH", "(", "VALUES", "INSERT", "UPDATE", "DELETE"):
            self.parse(statement, found)
        elif first in ("CREATE", "DROP", "ALTER", "TRUNCATE", "RENAME"):
            ddlparse.parse(statement, found, self.rules)
        else:
            self._refuse_unknown(statement, found)

    def _define(self, statement: str, found: list[Token]) -> Result:
        parsed = ddlparse.parse(statement, found, self.rules)
        if not (isinstance(parsed, (CreateTable, CreateDatabase)) and parsed.clone):
            return define(self, parsed)
        if self.explicit:
            if not parsed.moment and not self.rules.explicit_clone_reads_own_writes:
                parsed.moment = f"MO_TS = {self.statement_ns}"
            return define(self, parsed)
        if not self._writing:
            self.run_clone(statement)
            return Result()
        if not parsed.moment:
            parsed.moment = f"MO_TS = {self.statement_ns}"
        result = define(self, parsed)
        self._clones.append(statement)
        return result

    def run_clone(self, statement: str) -> None:
        """Run a clone that commits by itself, as without BEGIN (docs/server.md, Clones)."""
        other = StorageSession(self.storage, self.context)
        try:
            other.begin()
            other.start_writing()
            other.execute(statement)
            other.commit()
        finally:
            other.close()

    def _select(self, statement: str, found: list[Token]) -> Result:
        if has_into(statement):
            into = self.rules.select_into_variables and into_variables(found)
            if into:
                return self._select_into(statement, found, into)
            for word, target in pairwise(found):
                if word.upper == "INTO" and target.upper in ("OUTFILE", "DUMPFILE"):
                    raise unsupported(statement)
        tree = self.parse(statement, found)
        for token in () if self.rules.json_arrows or "->" not in statement else found:
            if token.kind == "operator" and token.text in ("->", "->>"):
                raise syntax_error(statement, found, token.start)
        refuse_unparsable(statement, found, self.rules)
        compiler = Compiler(statement, self, self.context.database)
        compiler.zero_divides_to_null = self.rules.division_by_zero_is_null
        reading = not self._writing
        if reading:
            self._connection.execute("BEGIN")
        try:
            query = compiler.query(tree)
            if not query.for_update:
                return self.fetch(query.sql, compiler.parameters, query.labels, query.types)
        finally:
            if reading:
                self._connection.execute("COMMIT")
        self._lock_rows(compiler)
        compiler = Compiler(statement, self, self.context.database)
        compiler.zero_divides_to_null = self.rules.division_by_zero_is_null
        query = compiler.query(tree)
        return self.fetch(query.sql, compiler.parameters, query.labels, query.types)

    def _select_into(self, statement: str, found: list[Token], into: IntoVariables) -> Result:
        """SELECT ... INTO @x, @y: one row at most, which they then hold; none leaves them."""
        start, end = found[into.start].start, found[into.end - 1].end
        # Blanks keep the places of what is behind.
        rest = statement[:start] + " " * (end - start) + statement[end:]
        answer = self._select(rest, tokens(rest))
        if len(answer.columns) != len(into.names):
            text = "The used SELECT statements have a different number of columns"
            raise SqlError(1222, text, "21000")
        if len(answer.rows) > 1:
            raise SqlError(1172, "Result consisted of more than one row", "42000")
        for row in answer.rows:
            for name, value in zip(into.names, row, strict=True):
                self.context.set_user_variable(name, value)
        return Result()

    def _lock_rows(self, compiler: Compiler) -> None:
        """SELECT ... FOR UPDATE: rows of mo_role by their own lock, others by being the writer."""
        timeout = self.context.deadline_seconds
        for database, name in compiler.reads:
            if (database, name) == ("mo_catalog", "mo_role"):
                key = ("mo_role", self.context.account_id)
                self.storage.locks.acquire(self, key, timeout, self.gone)
            elif (database, name) not in self.storage.virtual:
                self.write()

    def _change(self, statement: str, found: list[Token], first: str) -> Result:
        if _names_past(found):
            raise unsupported(statement)
        if first == "REPLACE":
            statement = "INSERT" + statement[found[0].end :]
            found = tokens(statement)
        literal = literal_rows(statement, found)
        tree = None if literal is None else dialect.form(literal.text)
        rows = None if literal is None or tree is None else literal.rows
        tree = tree or self.parse(statement, found)
        self.write()
        if isinstance(tree, exp.Insert):
            changed = Inserter(self, statement).insert(tree, replace=first == "REPLACE", rows=rows)
            if changed.last_insert_id:
                self.last_insert_id = changed.last_insert_id
            elif not changed.generating and first != "REPLACE":
                changed.last_insert_id = self.last_insert_id
        elif isinstance(tree, exp.Update):
            changed = Updater(self, statement).update(tree)
        elif isinstance(tree, exp.Delete):
            changed = Deleter(self, statement).delete(tree)
        else:
            raise unsupported(statement)
        return Result(
            affected=changed.affected, found=changed.affected, last_insert_id=changed.last_insert_id
        )


def _names_past(found: list[Token]) -> bool:
    """Whether the target of an INSERT, REPLACE or UPDATE has a brace behind it."""
    brace = next((at for at, token in enumerate(found) if token.kind == "brace"), 0)
    between = {token.upper for token in found[1:brace]}
    return brace > 1 and between.isdisjoint({"SET", "VALUES", "SELECT", "FROM", "JOIN", "(", ","})


_FIRST_WORDS = """
    ALTER ANALYZE BACKUP BEGIN CALL CANCEL COMMIT DEALLOCATE DECLARE DO EXECUTE GRANT KILL LOAD
    LOCK MODUMP PAUSE PREPARE RELEASE RESET RESTORE RESUME REVOKE ROLLBACK SAVEPOINT SET START
    UNLOCK UPGRADE USE
"""
_KNOWN_WORDS = frozenset(_FIRST_WORDS.split())
"""Statements that the server knows and the emulator does not."""
_EXECUTED_WORDS = """
    ALTER CREATE DELETE DESC DESCRIBE DROP EXPLAIN INSERT RENAME REPLACE SELECT SHOW TRUNCATE UPDATE
    VALUES WITH
"""
_EXECUTED = frozenset(_EXECUTED_WORDS.split())


def define(session: Workspace, statement: Statement) -> Result:
    """Run one DDL statement in the session's transaction."""
    session.write()
    if isinstance(statement, CreateTable):
        return create_table(session, statement)
    if isinstance(statement, AlterTable):
        return alter_table(session, statement)
    if isinstance(statement, CreateDatabase):
        return create_database(session, statement)
    if isinstance(statement, DropDatabase):
        return drop_database(session, statement)
    if isinstance(statement, DropTable):
        return drop_tables(session, statement)
    if isinstance(statement, Truncate):
        return truncate(session, statement)
    if isinstance(statement, RenameTables):
        for old, new in statement.pairs:
            rename_table(session, session.need_table(old.database, old.name), new)
        return Result()
    if isinstance(statement, CreateIndex):
        return create_index(session, statement)
    if isinstance(statement, DropIndex):
        return drop_index(session, statement)
    return create_view(session, statement)
