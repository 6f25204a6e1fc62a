"""DDL, parsed into data: CREATE, ALTER, DROP, RENAME and TRUNCATE.

Own grammar, because sqlglot hands most of MySQL's ALTER TABLE back as text.
"""

from __future__ import annotations

from ..errors import SqlError
from ..names import fold
from ..types.definition import Named
from ..versions.rules import Rules
from .alter_table import AlterReader
from .columns import KEY_START
from .ddl_statements import (
    CheckSpec,
    CreateDatabase,
    CreateIndex,
    CreateTable,
    CreateView,
    DropDatabase,
    DropIndex,
    DropTable,
    KeySpec,
    RenameTables,
    Statement,
    Truncate,
)
from .lexer import Token

_OTHER_OBJECTS = frozenset(
    [
        "ACCOUNT",
        "CDC",
        "CLUSTER",
        "CONNECTOR",
        "DYNAMIC",
        "EXTERNAL",
        "FUNCTION",
        "PROCEDURE",
        "PUBLICATION",
        "ROLE",
        "SEQUENCE",
        "SNAPSHOT",
        "SOURCE",
        "STAGE",
        "SUBSCRIPTION",
        "TEMPORARY",
        "USER",
    ]
)
"""Other objects that the server can create"""


def parse(statement: str, found: list[Token], rules: Rules) -> Statement:
    """The statement as data; SqlError 1064 with the rest of the text, or 1235."""
    return _Parser(statement, found, rules).statement()


class _Parser(AlterReader):
    """Read one statement of DDL."""

    def unknown(self) -> SqlError:
        """Refusal of an object: 1235 for a kind that only the emulator lacks, 1064 otherwise."""
        return self.unsupported() if self.peek().upper in _OTHER_OBJECTS else self.fail()

    # -- statements --------------------------------------------------------------------

    def statement(self) -> Statement:
        if self.accept("CREATE"):
            return self.create()
        if self.accept("DROP"):
            return self.drop()
        if self.accept("ALTER", "TABLE"):
            return self.alter_table()
        if self.accept("ALTER", "VIEW"):
            exists = self.if_exists()
            view = self.create_view(True)
            view.altering, view.if_exists = True, exists
            return view
        if self.accept("TRUNCATE"):
            self.accept("TABLE")
            name = self.named()
            self.finish()
            return Truncate(name)
        if self.accept("RENAME", "TABLE"):
            pairs = []
            while True:
                old = self.named()
                self.expect("TO")
                pairs.append((old, self.named()))
                if not self.accept(","):
                    break
            self.finish()
            return RenameTables(pairs)
        self.at = 1
        raise self.unknown()

    def create(self) -> Statement:
        if self.accept("DATABASE") or self.accept("SCHEMA"):
            return self.create_database()
        if self.accept("TABLE"):
            return self.create_table()
        replaced = self.accept("OR", "REPLACE")
        if self.rules.view_security and self.accept("SQL", "SECURITY"):
            if not self.accept("DEFINER"):
                self.expect("INVOKER")
            self.expect("VIEW")
            return self.create_view(replaced)
        if self.accept("VIEW"):
            return self.create_view(replaced)
        unique = self.accept("UNIQUE")
        fulltext = not unique and self.accept("FULLTEXT")
        if self.accept("INDEX"):
            kind = "unique" if unique else "fulltext" if fulltext else "key"
            return self.create_index(kind)
        if replaced and self.peek().upper != "FUNCTION":
            raise self.wrong()
        raise self.unknown()

    def create_database(self) -> CreateDatabase:
        result = CreateDatabase("", self.if_not_exists())
        result.name = fold(self.identifier())
        if self.rules.clones and self.accept("CLONE"):
            result.clone = fold(self.identifier())
            result.moment = self.moment()
        else:
            while self.peek().kind == "word":
                self.accept("DEFAULT")
                if (
                    self.accept("CHARACTER", "SET")
                    or self.accept("CHARSET")
                    or (self.accept("COLLATE") or self.accept("ENCRYPTION"))
                ):
                    self.accept("=")
                    self.at += 1
                else:
                    raise self.fail()
        self.finish()
        return result

    def create_view(self, replaced: bool) -> CreateView:
        found = CreateView(Named("", ""), [], "", self.source.strip().rstrip(";"), replaced)
        found.if_not_exists = self.if_not_exists()
        found.name = self.named()
        if self.peek().upper == "(":
            found.columns = self.names()
        self.expect("AS")
        found.select = self.rest()
        return found

    def create_index(self, kind: str) -> CreateIndex:
        name = self.identifier()
        algorithm = self.using()
        self.expect("ON")
        table = self.named()
        key = KeySpec(kind, name, self.names(), algorithm=algorithm)
        self.key_options(key)
        self.finish()
        return CreateIndex(table, key)

    def drop(self) -> Statement:
        if self.accept("DATABASE") or self.accept("SCHEMA"):
            exists = self.if_exists()
            name = fold(self.identifier())
            self.finish()
            return DropDatabase(name, exists)
        if self.accept("INDEX"):
            # 3.x reads IF EXISTS and forgets it.
            exists = self.if_exists() and self.rules.drop_index_if_exists
            name = self.identifier()
            self.expect("ON")
            table = self.named()
            self.finish()
            return DropIndex(table, name, exists)
        view = self.accept("VIEW")
        if view or self.accept("TABLE"):
            exists = self.if_exists()
            names = [self.named()]
            while self.accept(","):
                names.append(self.named())
            if not self.accept("RESTRICT"):
                self.accept("CASCADE")
            self.finish()
            return DropTable(names, exists, view)
        raise self.unknown()

    # CREATE TABLE

    def create_table(self) -> CreateTable:
        result = CreateTable(Named("", ""), self.if_not_exists())
        result.name = self.named()
        if self.accept("LIKE"):
            result.like = self.named()
        elif self.rules.clones and self.accept("CLONE"):
            result.clone = self.named()
            result.moment = self.moment()
        else:
            if self.peek().upper == "(" and self.peek(1).upper not in ("SELECT", "WITH"):
                self.expect("(")
                if self.accept("LIKE"):
                    result.like = self.named()
                elif self.peek().upper != ")":
                    self.table_element(result)
                    while self.accept(","):
                        self.table_element(result)
                self.expect(")")
            self.table_options(result)
            if self.accept("AS") or self.peek().upper in ("SELECT", "WITH", "("):
                result.select = self.rest()
        self.finish()
        return result

    def table_element(self, result: CreateTable) -> None:
        token = self.peek()
        if token.kind == "word" and token.upper in KEY_START:
            found = self.key_element()
            if isinstance(found, KeySpec):
                result.keys.append(found)
            elif isinstance(found, CheckSpec):
                result.checks.append(found)
            else:
                result.foreign_keys.append(found)
            return
        column = self.column()
        result.columns.append(column)
        result.checks += column.checks
        if column.references is not None:
            result.foreign_keys.append(column.references)

    def table_options(self, result: CreateTable) -> None:
        while self.peek().kind == "word" and self.peek().upper not in ("AS", "SELECT", "WITH"):
            self.table_option(result)
            self.accept(",")

    def table_option(self, result: CreateTable) -> None:
        self.accept("DEFAULT")
        if self.accept("COMMENT"):
            self.accept("=")
            result.comment = self.string()
            result.commented = True
        elif self.accept("AUTO_INCREMENT"):
            self.accept("=")
            result.auto_start = self.number()
        elif self.accept("CHARACTER", "SET") or self.peek().upper in (
            "ENGINE",
            "CHARSET",
            "COLLATE",
            "ROW_FORMAT",
            "KEY_BLOCK_SIZE",
            "MAX_ROWS",
            "MIN_ROWS",
            "AVG_ROW_LENGTH",
            "CHECKSUM",
            "COMPRESSION",
            "PACK_KEYS",
            "STATS_PERSISTENT",
        ):
            if self.peek(-1).upper != "SET":
                self.at += 1
            self.accept("=")
            self.at += 1
        elif self.peek().upper == "PARTITION":
            result.partition_by = self.partition_by()
        elif self.peek().upper == "CLUSTER":
            raise self.unsupported()
        else:
            raise self.fail()
