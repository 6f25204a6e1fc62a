"""Definitions of columns, keys and foreign keys, parsed."""

from __future__ import annotations

from ..errors import SqlError
from ..names import fold
from ..types.columns import SqlType, make_type
from ..versions.rules import Rules
from .ddl_reader import Reader
from .ddl_statements import (
    CheckSpec,
    ColumnSpec,
    ForeignKeySpec,
    KeySpec,
)
from .lexer import syntax_error

# A default that is calculated without brackets.
_OPERATORS = frozenset(("+", "-", "*", "/", "%", "^", "|", "&", "<<", ">>", "||"))
_COLUMN_END = {",", ")", "FIRST", "AFTER"}

_RULES = {"RESTRICT", "CASCADE"}

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

KEY_START = {"PRIMARY", "UNIQUE", "KEY", "INDEX", "CONSTRAINT", "FOREIGN", "CHECK", "FULLTEXT"}


def check_width(kind: SqlType) -> None:
    """Refuse a column wider than its type allows."""
    if kind.kind == "bit" and kind.width > 64:
        raise SqlError(20301, f"invalid input: bit width ({kind.width}) is too long (max = 64) ")
    most, text = _LIMITS.get(kind.kind, (kind.width, ""))
    if kind.width > most:
        raise SqlError(
            1690, f"data out of range: data type {kind.kind},  typeLen is over the {text}"
        )


def check_members(values: list[str]) -> None:
    """Refuse members that a SET cannot have."""
    for place, value in enumerate(values):
        if "," in value:
            raise SqlError(20301, f"invalid input: set member \"{value}\" contains ','")
        if value in values[:place]:
            raise SqlError(20301, f'invalid input: duplicate set member "{value}"')


def check_arguments(name: str, arguments: list[int], rules: Rules) -> str:
    """Text of the grammar's own refusal of a type's numbers; '' for none."""
    if not arguments:
        return ""
    first = arguments[0]
    exact = name in ("decimal", "numeric")
    if name in ("datetime", "timestamp", "time") and first > 6:
        return f"For {name.capitalize()}(fsp), fsp must in [0, 6]"
    most = rules.decimal_digits
    if exact and first > most:
        return f"For decimal(M), M must between 0 and {most}."
    if name == "float" and len(arguments) > 1 and first > 255:
        return "Display width for float out of range (max = 255)"
    second = (arguments[1:] or [0])[0]
    if (exact and first == 0) or ((exact or name in ("float", "double")) and first < second):
        return "For float(M,D), double(M,D) or decimal(M,D), M must be >= D (column 'a'))"
    if exact and second > rules.decimal_scale:
        return f"Display scale for decimal out of range (max = {rules.decimal_scale})"
    return ""


class ColumnReader(Reader):
    """Read columns, keys and types."""

    def key_element(self, *, altering: bool = False) -> KeySpec | ForeignKeySpec | CheckSpec:
        """A key, a foreign key or a CHECK."""
        name = ""
        if self.accept("CONSTRAINT") and self.peek().upper not in KEY_START - {"KEY", "INDEX"}:
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
            check = CheckSpec(fold(name), self.balanced()[1:-1])
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
                self.using()  # The server forgets it here.
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
        sized = name.lower() not in _WITHOUT_LENGTH or (
            self.rules.text_lengths and name.lower() in ("text", "blob")
        )
        if not sized and self.peek().upper == "(":
            raise self.fail()
        if self.accept("("):
            while True:
                if self.peek().kind == "string":
                    values.append(self.string())
                else:
                    arguments.append(self.number())
                if not self.accept(","):
                    break
            what = check_arguments(name.lower(), arguments, self.rules)
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
            raise self.wrong()
        found = None
        if name.upper() == "SET" and self.rules.year_and_set_types:
            check_members(values)
        if name.upper() not in ("YEAR", "SET") or self.rules.year_and_set_types:
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
                    raise self.wrong()
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
                    check_name = fold(self.identifier())
                self.expect("CHECK")
                column.checks.append(CheckSpec(check_name, self.balanced()[1:-1]))
            elif token.upper in ("GENERATED", "AS") and self.rules.generated_columns:
                if self.accept("GENERATED"):
                    self.expect("ALWAYS")
                self.expect("AS")
                column.generated = self.balanced()[1:-1]
                column.stored = self.accept("STORED")
                if not column.stored:
                    self.accept("VIRTUAL")
            elif token.kind == "operator" and token.text in _OPERATORS:
                raise self.unsupported()
            elif token.upper in ("BINARY", "GENERATED"):
                raise self.wrong()
            else:
                raise self.fail()
