"""Reads DDL: CREATE, ALTER, DROP, RENAME and TRUNCATE (matrixone.md, sections 4 and 6).

Own grammar, because sqlglot hands most of MySQL's ALTER TABLE back as text.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .columns import SqlType, make_type
from .definition import Named
from .errors import SqlError
from .lexer import Token, syntax_error, tokens, unquote
from .words import RESERVED, RESERVED_SINCE_4


@dataclass
class ColumnSpec:
    name: str
    type: SqlType
    nullable: bool | None = None
    default: str | None = None
    on_update: str | None = None
    auto_increment: bool = False
    primary: bool = False
    unique: bool = False
    comment: str = ""
    references: ForeignKeySpec | None = None
    checks: list[CheckSpec] = field(default_factory=list)


@dataclass
class KeySpec:
    kind: str
    """primary, unique, key or fulltext"""
    name: str
    columns: list[str]
    comment: str = ""
    algorithm: str = ""
    visible: bool = True
    parser: str = ""


@dataclass
class ForeignKeySpec:
    name: str
    columns: list[str]
    parent: Named
    parent_columns: list[str]
    on_delete: str = "RESTRICT"
    on_update: str = "RESTRICT"


@dataclass
class CheckSpec:
    name: str
    text: str


@dataclass
class CreateTable:
    name: Named
    if_not_exists: bool = False
    columns: list[ColumnSpec] = field(default_factory=list)
    keys: list[KeySpec] = field(default_factory=list)
    foreign_keys: list[ForeignKeySpec] = field(default_factory=list)
    checks: list[CheckSpec] = field(default_factory=list)
    comment: str = ""
    commented: bool = False
    auto_start: int = 1
    like: Named | None = None
    clone: Named | None = None
    moment: str = ""
    select: str = ""


@dataclass
class CreateDatabase:
    name: str
    if_not_exists: bool = False
    clone: str = ""
    moment: str = ""


@dataclass
class DropDatabase:
    name: str
    if_exists: bool


@dataclass
class DropTable:
    names: list[Named]
    if_exists: bool
    view: bool = False


@dataclass
class Truncate:
    name: Named


@dataclass
class RenameTables:
    pairs: list[tuple[Named, Named]]


@dataclass
class CreateIndex:
    table: Named
    key: KeySpec


@dataclass
class DropIndex:
    table: Named
    name: str
    if_exists: bool = False


@dataclass
class CreateView:
    name: Named
    columns: list[str]
    select: str
    statement: str
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass
class Action:
    """One clause of ALTER TABLE; *kind* names it."""

    kind: str
    name: str = ""
    new_name: str = ""
    column: ColumnSpec | None = None
    columns: list[ColumnSpec] = field(default_factory=list)
    key: KeySpec | None = None
    foreign_key: ForeignKeySpec | None = None
    position: str | None = None
    """'' is FIRST, a name is AFTER it, None is the end or where it was"""
    text: str = ""
    if_exists: bool = False
    source: str = ""
    """The clause as it was written, for messages"""


@dataclass
class AlterTable:
    table: Named
    actions: list[Action]


Statement = (
    CreateTable
    | CreateDatabase
    | DropDatabase
    | DropTable
    | Truncate
    | RenameTables
    | CreateIndex
    | DropIndex
    | CreateView
    | AlterTable
)

_COLUMN_END = {",", ")", "FIRST", "AFTER"}
_RULES = {"RESTRICT", "CASCADE"}
_RESERVED = RESERVED - {"id"}
"""A PITR cannot be called id, a column can."""

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
"""What the server can create besides"""

_KEY_START = {"PRIMARY", "UNIQUE", "KEY", "INDEX", "CONSTRAINT", "FOREIGN", "CHECK", "FULLTEXT"}


_WITHOUT_LENGTH = frozenset(
    f"{size}{kind}" for size in ("", "tiny", "medium", "long") for kind in ("text", "blob")
) | {"json", "date"}
"""TEXT(100) and BLOB(20) are MySQL's, not the server's."""

_LIMITS = {
    "char": (255, "MaxCharLen: 255"),
    "binary": (255, "MaxCharLen: 255"),
    "varchar": (65535, "MaxVarcharLen: 65535"),
    "varbinary": (65535, "MaxVarcharLen: 65535"),
    "vecf32": (65535, "MaxVectorLen : 65535"),
    "vecf64": (65535, "MaxVectorLen : 65535"),
}


def check_width(kind: SqlType) -> None:
    """How wide a column of a type may be."""
    if kind.kind == "bit" and kind.width > 64:
        raise SqlError(20301, f"invalid input: bit width ({kind.width}) is too long (max = 64) ")
    most, text = _LIMITS.get(kind.kind, (kind.width, ""))
    if kind.width > most:
        raise SqlError(
            1690, f"data out of range: data type {kind.kind},  typeLen is over the {text}"
        )


def check_arguments(name: str, arguments: list[int], era: int) -> str:
    """What the server's grammar itself says against a type's numbers; '' for nothing."""
    if not arguments:
        return ""
    first = arguments[0]
    exact = name in ("decimal", "numeric")
    if name in ("datetime", "timestamp", "time") and first > 6:
        return f"For {name.capitalize()}(fsp), fsp must in [0, 6]"
    most = 38 if era < 4 else 65
    if exact and first > most:
        return f"For decimal(M), M must between 0 and {most}."
    if name == "float" and len(arguments) > 1 and first > 255:
        return "Display width for float out of range (max = 255)"
    second = (arguments[1:] or [0])[0]
    if (exact and first == 0) or ((exact or name in ("float", "double")) and first < second):
        return "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column 'a'))"
    return ""


def parse(statement: str, version: tuple[int, int, int]) -> Statement:
    """The statement as data; SqlError 1064 with the rest of the text, or 1235."""
    return _Parser(statement, version).statement()


class _Parser:
    def __init__(self, statement: str, version: tuple[int, int, int]) -> None:
        self.source = statement
        self.version = version
        self.all = tokens(statement)
        self.at = 0

    # Tokens

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        end = len(self.source)
        return self.all[index] if index < len(self.all) else Token("end", "", end, end)

    def fail(self) -> SqlError:
        return syntax_error(self.source, self.all, self.peek().start)

    def unsupported(self) -> SqlError:
        return SqlError.unsupported(self.source)

    def unknown(self) -> SqlError:
        """Of a kind of object that the server has and the emulator has not, or of none."""
        return self.unsupported() if self.peek().upper in _OTHER_OBJECTS else self.fail()

    def accept(self, *words: str) -> bool:
        """Take these words, all or none."""
        for offset, word in enumerate(words):
            if self.peek(offset).upper != word:
                return False
        self.at += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.fail()

    def identifier(self) -> str:
        token = self.peek()
        if token.kind not in ("word", "quoted") or self.is_reserved(token):
            raise self.fail()
        self.at += 1
        return token.name

    def is_reserved(self, token: Token) -> bool:
        """A keyword that is no name without back-quotes."""
        if token.kind != "word":
            return False
        word = token.text.lower()
        return word in _RESERVED or (self.version >= (4, 0, 0) and word in RESERVED_SINCE_4)

    def named(self) -> Named:
        first = self.identifier()
        if self.accept("."):
            return Named(first.lower(), self.identifier().lower())
        return Named("", first.lower())

    def string(self) -> str:
        token = self.peek()
        if token.kind != "string":
            raise self.fail()
        self.at += 1
        return unquote(token.text)

    def number(self) -> int:
        token = self.peek()
        if token.kind != "number" or not token.text.isdigit():
            raise self.fail()
        self.at += 1
        return int(token.text)

    def names(self) -> list[str]:
        """A list of columns in brackets; lengths and orders are read and forgotten."""
        self.expect("(")
        found = []
        while True:
            found.append(self.identifier())
            if self.accept("("):
                self.number()
                self.expect(")")
            if not self.accept("ASC"):
                self.accept("DESC")
            if not self.accept(","):
                break
        self.expect(")")
        return found

    def finish(self) -> None:
        self.accept(";")
        if self.peek().kind != "end":
            raise self.fail()

    def rest(self) -> str:
        text = self.source[self.peek().start :].rstrip().rstrip(";")
        self.at = len(self.all)
        return text

    def if_not_exists(self) -> bool:
        return self.accept("IF", "NOT", "EXISTS")

    def if_exists(self) -> bool:
        return self.accept("IF", "EXISTS")

    # Statements

    def statement(self) -> Statement:
        if self.accept("CREATE"):
            return self.create()
        if self.accept("DROP"):
            return self.drop()
        if self.accept("ALTER", "TABLE"):
            return self.alter_table()
        if self.accept("ALTER", "VIEW"):
            return self.create_view(True)
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
        if self.accept("VIEW"):
            return self.create_view(replaced)
        unique = self.accept("UNIQUE")
        fulltext = not unique and self.accept("FULLTEXT")
        if self.accept("INDEX"):
            kind = "unique" if unique else "fulltext" if fulltext else "key"
            return self.create_index(kind)
        if replaced and self.peek().upper != "FUNCTION":
            raise self.fail()
        raise self.unknown()

    def create_database(self) -> CreateDatabase:
        result = CreateDatabase("", self.if_not_exists())
        result.name = self.identifier().lower()
        if self.version >= (3, 0, 0) and self.accept("CLONE"):
            result.clone = self.identifier().lower()
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

    def moment(self) -> str:
        token = self.peek()
        if token.kind != "brace":
            return ""
        self.at += 1
        return token.text[1:-1].strip()

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
            name = self.identifier().lower()
            self.finish()
            return DropDatabase(name, exists)
        if self.accept("INDEX"):
            # 3.x reads IF EXISTS and forgets it.
            exists = self.if_exists() and self.version >= (4, 0, 0)
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
        elif self.version >= (3, 0, 0) and self.accept("CLONE"):
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
        if token.kind == "word" and token.upper in _KEY_START:
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

    def key_element(self, *, altering: bool = False) -> KeySpec | ForeignKeySpec | CheckSpec:
        """A key, a foreign key or a CHECK."""
        name = ""
        if self.accept("CONSTRAINT") and self.peek().upper not in _KEY_START - {"KEY", "INDEX"}:
            name = self.identifier()
        if self.accept("PRIMARY", "KEY"):
            self.using()
            if self.peek().kind in ("word", "quoted"):
                self.identifier()
            key = KeySpec("primary", name, self.names())
            self.key_options(key)
            return key
        if self.accept("FOREIGN", "KEY"):
            if self.peek().kind in ("word", "quoted"):
                self.if_not_exists()
                own = self.identifier()
                name = name or own
            return self.references(name, self.names())
        if self.accept("CHECK"):
            check = CheckSpec(name.lower(), self.balanced()[1:-1])
            if not self.accept("ENFORCED"):
                self.accept("NOT", "ENFORCED")
            return check
        unique = self.accept("UNIQUE")
        name = name if altering else ""  # CREATE TABLE forgets the name of CONSTRAINT ... UNIQUE
        fulltext = not unique and self.accept("FULLTEXT")
        if not (self.accept("KEY") or self.accept("INDEX")) and not (unique or fulltext):
            raise self.fail()
        self.if_not_exists()
        if self.peek().kind in ("word", "quoted") and self.peek().upper != "USING":
            name = self.identifier()
        algorithm = self.using()
        kind = "unique" if unique else "fulltext" if fulltext else "key"
        key = KeySpec(kind, name, self.names(), algorithm=algorithm)
        self.key_options(key)
        return key

    def using(self) -> str:
        return self.identifier().lower() if self.accept("USING") else ""

    def key_options(self, key: KeySpec) -> None:
        while True:
            if self.accept("COMMENT"):
                self.accept("=")
                key.comment = self.string()
            elif self.peek().upper == "USING":
                key.algorithm = self.using()
            elif self.accept("VISIBLE"):
                key.visible = True
            elif self.accept("INVISIBLE"):
                key.visible = False
            elif self.accept("WITH", "PARSER"):
                key.parser = self.identifier()
            elif self.accept("KEY_BLOCK_SIZE"):
                self.accept("=")
                self.number()
            else:
                return

    def references(self, name: str, columns: list[str]) -> ForeignKeySpec:
        self.expect("REFERENCES")
        parent = self.named()
        parent_columns = self.names() if self.peek().upper == "(" else []
        found = ForeignKeySpec(name, columns, parent, parent_columns)
        if self.accept("MATCH"):
            self.at += 1
        while self.accept("ON"):
            delete = self.accept("DELETE")
            if not delete:
                self.expect("UPDATE")
            rule = self.rule()
            if delete:
                found.on_delete = rule
            else:
                found.on_update = rule
        return found

    def rule(self) -> str:
        for word in _RULES:
            if self.accept(word):
                return word
        if self.accept("SET", "NULL"):
            return "SET NULL"
        if self.accept("SET", "DEFAULT"):
            return "SET DEFAULT"
        self.expect("NO", "ACTION")
        return "NO ACTION"

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
        elif self.peek().upper in ("PARTITION", "CLUSTER"):
            raise self.unsupported()
        else:
            raise self.fail()

    # Columns

    def column(self) -> ColumnSpec:
        token = self.peek()
        if token.kind not in ("word", "quoted"):
            raise self.fail()
        column = ColumnSpec(self.identifier(), self.type())
        self.column_options(column)
        return column

    def type(self) -> SqlType:
        start = self.at
        if self.peek().kind != "word":
            raise self.fail()
        name = self.peek().text
        self.at += 1
        if name.upper() in ("CHARACTER", "CHAR") and self.accept("VARYING"):
            name = "varchar"
        arguments: list[int] = []
        values: list[str] = []
        if name.lower() in _WITHOUT_LENGTH and self.peek().upper == "(":
            raise self.fail()
        if self.accept("("):
            while True:
                if self.peek().kind == "string":
                    values.append(self.string())
                else:
                    arguments.append(self.number())
                if not self.accept(","):
                    break
            what = check_arguments(name.lower(), arguments, self.version[0])
            if what:
                raise syntax_error(self.source, self.all, self.peek().start, what)
            self.expect(")")
        unsigned = False
        while True:
            if self.accept("UNSIGNED"):
                unsigned = True
            elif (
                self.accept("CHARACTER", "SET") or self.accept("CHARSET") or self.accept("COLLATE")
            ):
                self.at += 1
            elif not (self.accept("SIGNED") or self.accept("ZEROFILL")):
                break
        if name.upper() == "DEC":
            self.at = start
            raise self.fail()
        found = make_type(name, tuple(arguments), unsigned=unsigned, values=tuple(values))
        if found is None:
            if name.upper() == "YEAR":
                raise SqlError(20102, "data type: 'year' is not yet implemented")
            if name.upper() == "SET":
                inside = ",".join(f'"{value}"' for value in values)
                raise SqlError(20102, f"data type: 'set({inside})' is not yet implemented")
            if name.upper() in ("GEOMETRY", "POINT"):
                raise self.unsupported()
            self.at = start
            raise self.fail()
        check_width(found)
        return found

    def column_options(self, column: ColumnSpec) -> None:
        while True:
            token = self.peek()
            if token.kind == "end" or token.upper in _COLUMN_END or token.upper == ";":
                return
            if self.accept("NOT", "NULL"):
                column.nullable = False
            elif self.accept("NULL"):
                column.nullable = True
            elif self.accept("DEFAULT"):
                column.default = self.expression()
            elif self.accept("AUTO_INCREMENT"):
                column.auto_increment = True
            elif self.accept("PRIMARY", "KEY"):
                column.primary = True
            elif self.accept("UNIQUE"):
                self.accept("KEY")
                column.unique = True
            elif self.accept("KEY"):
                column.primary = True
            elif self.accept("COMMENT"):
                column.comment = self.string()
            elif self.accept("ON", "UPDATE"):
                if self.peek().upper == "NOW":
                    raise self.fail()
                column.on_update = self.expression()
            elif (
                self.accept("COLLATE") or self.accept("CHARSET") or self.accept("CHARACTER", "SET")
            ):
                self.at += 1
            elif token.upper == "REFERENCES":
                column.references = self.references("", [column.name])
            elif token.upper in ("CONSTRAINT", "CHECK"):
                check_name = ""
                if self.accept("CONSTRAINT") and self.peek().upper != "CHECK":
                    check_name = self.identifier().lower()
                self.expect("CHECK")
                column.checks.append(CheckSpec(check_name, self.balanced()[1:-1]))
            elif token.upper in ("GENERATED", "AS") and self.version >= (4, 0, 0):
                raise self.unsupported()
            else:
                raise self.fail()

    def balanced(self) -> str:
        """The text of a bracketed part, brackets included."""
        start = self.peek().start
        self.expect("(")
        depth = 1
        while depth:
            token = self.peek()
            if token.kind == "end":
                raise self.fail()
            depth += {"(": 1, ")": -1}.get(token.upper, 0)
            self.at += 1
        return self.source[start : self.peek(-1).end]

    def expression(self) -> str:
        """The text of a default: a literal, a signed number, a call or a bracketed part."""
        start = self.peek().start
        if self.peek().upper == "(":
            return self.balanced()
        if self.peek().upper in ("-", "+"):
            self.at += 1
        token = self.peek()
        if token.kind not in ("word", "string", "number", "hex"):
            raise self.fail()
        self.at += 1
        if token.kind == "word" and self.peek().upper == "(":
            self.balanced()
        return self.source[start : self.peek(-1).end]

    # ALTER TABLE

    def alter_table(self) -> AlterTable:
        result = AlterTable(self.named(), [])
        while True:
            start = self.peek().start
            action = self.action()
            action.source = self.source[start : self.peek(-1).end]
            result.actions.append(action)
            if not self.accept(","):
                break
        self.finish()
        return result

    def action(self) -> Action:
        if self.accept("ADD"):
            return self.add_action()
        if self.accept("DROP"):
            return self.drop_action()
        if self.accept("MODIFY"):
            self.accept("COLUMN")
            column = self.column()
            return Action("modify", column.name, column=column, position=self.position())
        if self.accept("CHANGE"):
            self.accept("COLUMN")
            name = self.identifier()
            return Action("change", name, column=self.column(), position=self.position())
        if self.accept("RENAME"):
            return self.rename_action()
        if self.accept("ALTER"):
            return self.alter_action()
        if self.accept("COMMENT"):
            self.accept("=")
            return Action("comment", text=self.string())
        if self.accept("AUTO_INCREMENT"):
            self.accept("=")
            return Action("auto_increment", text=str(self.number()))
        if self.accept("ENGINE"):
            self.accept("=")
            return Action("engine", text=self.identifier().lower())
        if self.accept("CONVERT"):
            self.expect("TO")
            return self.charset_action()
        if self.accept("FORCE"):
            return Action("charset")
        if self.peek().upper in ("DEFAULT", "CHARSET", "CHARACTER", "COLLATE"):
            return self.charset_action()
        if self.peek().upper in ("ALGORITHM", "LOCK", "ORDER", "PARTITION", "REORGANIZE"):
            raise self.unsupported()
        raise self.fail()

    def charset_action(self) -> Action:
        """Read and forgotten."""
        while True:
            self.accept("DEFAULT")
            if self.accept("CHARACTER"):
                self.expect("SET")
            elif not (self.accept("CHARSET") or self.accept("COLLATE")):
                return Action("charset")
            self.accept("=")
            self.identifier()

    def position(self) -> str | None:
        if self.accept("FIRST"):
            return ""
        return self.identifier() if self.accept("AFTER") else None

    def add_action(self) -> Action:
        token = self.peek()
        if token.kind == "word" and token.upper in _KEY_START:
            found = self.key_element(altering=True)
            if isinstance(found, KeySpec):
                return Action("add_primary" if found.kind == "primary" else "add_key", key=found)
            if isinstance(found, CheckSpec):
                return Action("add_check", found.name, text=found.text)
            return Action("add_foreign", foreign_key=found)
        self.accept("COLUMN")
        column = self.column()
        return Action("add", columns=[column], position=self.position())

    def drop_action(self) -> Action:
        if self.accept("PRIMARY", "KEY"):
            return Action("drop_primary")
        if self.accept("FOREIGN", "KEY"):
            return Action("drop_foreign", self.identifier())
        if self.accept("INDEX") or self.accept("KEY"):
            return Action("drop_key", self.identifier())
        if self.accept("CONSTRAINT"):
            return Action("drop_constraint", self.identifier())
        if self.peek().upper == "CHECK":
            raise self.fail()
        self.accept("COLUMN")
        exists = self.if_exists()
        return Action("drop", self.identifier(), if_exists=exists)

    def rename_action(self) -> Action:
        if self.accept("COLUMN"):
            name = self.identifier()
            self.expect("TO")
            return Action("rename_column", name, self.identifier())
        if self.peek().upper in ("INDEX", "KEY"):
            raise self.fail()
        if not self.accept("TO"):
            self.accept("AS")
        target = self.named()
        return Action("rename", target.database, target.name)

    def alter_action(self) -> Action:
        if self.accept("INDEX"):
            name = self.identifier()
            visible = self.accept("VISIBLE")
            if not visible:
                self.expect("INVISIBLE")
            return Action("visible", name, text="1" if visible else "")
        if self.peek().upper in ("CONSTRAINT", "CHECK"):
            raise self.unsupported()
        self.accept("COLUMN")
        name = self.identifier()
        if self.accept("SET"):
            if self.accept("DEFAULT"):
                return Action("set_default", name, text=self.expression())
            raise self.unsupported()
        self.expect("DROP", "DEFAULT")
        return Action("drop_default", name)
