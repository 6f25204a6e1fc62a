"""DDL statements as data."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..types.columns import SqlType
from ..types.definition import Named


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
    generated: str | None = None
    stored: bool = False


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
    on_delete: str = ""
    on_update: str = ""


@dataclass
class CheckSpec:
    name: str
    text: str


Bound = int | str | None
"""A value of a partition; None is MAXVALUE, which is more than any."""


@dataclass
class ListedPartition:
    name: str
    text: str
    """Its values as SHOW CREATE TABLE prints them"""
    values: list[Bound]


@dataclass
class PartitionSpec:
    """PARTITION BY: its method, `HASH`, `KEY`, `RANGE` or `LIST`, and its columns as written."""

    method: str
    columns: list[str]
    head: str
    """The method as SHOW CREATE TABLE prints it"""
    count: int = 0
    listed: list[ListedPartition] = field(default_factory=list)


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
    partition_by: PartitionSpec | None = None


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
    altering: bool = False
    if_exists: bool = False


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
