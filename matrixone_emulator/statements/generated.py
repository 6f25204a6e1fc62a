"""Generated columns, which 4.x has: their checks, their values, their texts."""

from __future__ import annotations

from sqlglot import exp

from ..compiler.headings import source_text
from ..compiler.query import Compiler
from ..compiler.scope import Scope, Source, SourceColumn
from ..errors import SqlError
from ..names import fold
from ..parsing.dialect import parse_expression
from ..types.definition import ColumnDef, TableDef
from ..types.values import Stored, store
from .workspace import Workspace

_CHANGING = frozenset(
    ["connection_id", "now", "rand", "sleep", "sysdate", "unix_timestamp", "user", "uuid"]
)
_MOMENTS = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.Localtime)


def printed(text: str) -> str:
    """The expression as the server keeps it: an operation in brackets, a call without."""
    tree = parse_expression(text)
    while isinstance(tree, exp.Paren):
        tree = tree.this
    found = source_text(tree)
    return found if isinstance(tree, (exp.Anonymous, exp.Column, exp.Literal)) else f"({found})"


def check(definition: TableDef) -> None:
    """Refuse generated columns that CREATE and ALTER refuse."""
    for column in definition.columns:
        if column.generated is None:
            continue
        if column.default is not None:
            raise SqlError(
                20301,
                f"invalid input: generated column '{column.name}' cannot have a default value",
            )
        tree = parse_expression(column.generated)
        about = "invalid input: expression of generated column cannot"
        if tree.find(exp.Select) is not None:
            raise SqlError(20301, f"{about} contain subquery")
        for part in tree.walk():
            name = str(part.this).lower() if isinstance(part, exp.Anonymous) else ""
            if name in _CHANGING or isinstance(part, _MOMENTS):
                shown = name or "now"
                raise SqlError(20301, f"{about} refer to a non-deterministic function '{shown}'")
        refuse_missing(definition, column.generated)


def refuse_missing(definition: TableDef, text: str) -> None:
    """Refuse columns that the expression of a generated column, or of a CHECK, does not find."""
    for part in parse_expression(text).find_all(exp.Column):
        if definition.column(part.name) is None:
            raise SqlError.no_column(
                f"column '{fold(part.name)}' does not exist or cannot be referenced by a "
                "generated column"
            )


def refuse_change(definition: TableDef, name: str) -> None:
    """Refuse to change a column that others are generated from."""
    for column in definition.columns:
        if column.generated is None or column.lower == fold(name):
            continue
        used = parse_expression(column.generated).find_all(exp.Column)
        if any(fold(part.name) == fold(name) for part in used):
            raise SqlError(
                20301,
                f"invalid input: Cannot modify column '{fold(name)}': generated column "
                f"'{column.lower}' depends on it",
            )


def not_allowed(column: ColumnDef, table: str) -> SqlError:
    """Error of a statement that gives a generated column a value."""
    return SqlError(
        20301,
        f"invalid input: the value specified for generated column '{column.lower}' in table "
        f"'{table}' is not allowed",
    )


def has_generated(definition: TableDef) -> bool:
    return any(column.generated is not None for column in definition.columns)


def fill(session: Workspace, compiler: Compiler, definition: TableDef, row: list[Stored]) -> None:
    """Compute the generated values of a row from the others, one after another."""
    scope = Scope(
        [
            Source(
                definition.name,
                "",
                [
                    SourceColumn(column.name, f":n{index}", column.type)
                    for index, column in enumerate(definition.columns)
                ],
            )
        ]
    )
    for place, column in enumerate(definition.columns):
        if column.generated is not None:
            value = compiler.value(parse_expression(column.generated), scope)
            names = {f"n{index}": cell for index, cell in enumerate(row)}
            cell = session.run(f"SELECT {value.sql}", names).fetchone()[0]
            row[place] = store(cell, column.type, value.type)


def clause(column: ColumnDef) -> str:
    """As SHOW CREATE TABLE writes it."""
    return f" GENERATED ALWAYS AS ({column.generated}) {'STORED' if column.stored else 'VIRTUAL'}"
