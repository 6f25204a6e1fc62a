"""Models made at random, and changed at random: plain data that becomes a MetaData.

What is made is what a MatrixOne server can hold and Alembic can write: a table that others refer to
stays, a column's type changes only where no key needs it.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from sqlalchemy_matrixone_pitr import DatabasePitr, TablePitr, Unprotected, declare_pitrs

TYPES: dict[str, TypeEngine[Any]] = {
    "int": Integer(),
    "bigint": BigInteger(),
    "short": String(20),
    "long": String(40),
    "text": Text(),
    "decimal": Numeric(10, 2),
    "wide decimal": Numeric(12, 4),
    "datetime": DateTime(),
    "date": Date(),
    "float": Float(),
    "bool": Boolean(),
}
CHANGES = {
    "int": "bigint",
    "bigint": "int",
    "short": "long",
    "long": "short",
    "decimal": "wide decimal",
    "wide decimal": "decimal",
}
"""Types that a column may change to."""

DEFAULTS = {"int": "7", "short": "'abc'", "bigint": "70"}
RANGES = ("2h", "1d", "7d", "1mo", "2y")
RULES = (None, None, "CASCADE", "RESTRICT", "NO ACTION", "SET NULL")


@dataclass
class ColumnSpec:
    kind: str
    nullable: bool = True
    comment: str | None = None
    default: str | None = None


@dataclass
class KeySpec:
    """A UNIQUE key, a unique index or an index."""

    kind: str
    name: str | None
    columns: tuple[str, ...]


@dataclass
class ForeignKeySpec:
    name: str | None
    column: str
    parent: str
    ondelete: str | None
    onupdate: str | None


@dataclass
class TableSpec:
    columns: dict[str, ColumnSpec] = field(default_factory=dict)
    keys: list[KeySpec] = field(default_factory=list)
    foreign_keys: list[ForeignKeySpec] = field(default_factory=list)
    policy: tuple[str, str | None] | None = None
    unprotected: bool = False

    @property
    def used(self) -> set[str]:
        """The columns of keys."""
        return {column for key in self.keys for column in key.columns} | {
            key.column for key in self.foreign_keys
        }


@dataclass
class Models:
    """A whole schema.

    :ivar prefix: of the names of policies, which are the account's.
    :ivar all_named: no key is without a name.
    :ivar booleans: whether the dialect reflects them.
    """

    prefix: str
    booleans: bool = True
    all_named: bool = False
    tables: dict[str, TableSpec] = field(default_factory=dict)
    database_policy: tuple[str, str | None] | None = None
    number: int = 0

    def copy(self) -> Models:
        return copy.deepcopy(self)

    def next_number(self) -> int:
        self.number += 1
        return self.number

    def metadata(self) -> MetaData:
        metadata = MetaData()
        for name, spec in self.tables.items():
            Table(name, metadata, *self._items(spec))
        if self.database_policy is not None:
            declare_pitrs(metadata, DatabasePitr(*self.database_policy))
        return metadata

    def _items(self, spec: TableSpec) -> list[SchemaItem]:
        items: list[SchemaItem] = [Column("id", Integer, primary_key=True)]
        for name, column in spec.columns.items():
            items.append(
                Column(
                    name,
                    TYPES[column.kind],
                    nullable=column.nullable,
                    comment=column.comment,
                    server_default=None if column.default is None else text(column.default),
                )
            )
        for key in spec.keys:
            if key.kind == "unique":
                items.append(UniqueConstraint(*key.columns, name=key.name))
            else:
                items.append(Index(key.name, *key.columns, unique=key.kind == "unique index"))
        items += (
            ForeignKeyConstraint(
                [key.column],
                [f"{key.parent}.id"],
                name=key.name,
                ondelete=key.ondelete,
                onupdate=key.onupdate,
            )
            for key in spec.foreign_keys
        )
        if spec.policy is not None:
            items.append(TablePitr(*spec.policy))
        elif spec.unprotected:
            items.append(Unprotected("by chance"))
        return items


class Chance:
    """A maker of models, which changes them too."""

    def __init__(self, seed: object) -> None:
        self.random = random.Random(str(seed))

    def models(self, prefix: str, *, booleans: bool, all_named: bool = False) -> Models:
        made = Models(prefix, booleans, all_named)
        for _ in range(self.random.randint(1, 4)):
            self.add_table(made)
        if self.random.random() < 0.4:
            self.change_database_policy(made)
        return made

    def changed(self, models: Models) -> Models:
        """Models with one to five differences."""
        made = models.copy()
        changes: list[Callable[[Models], object]] = [
            self.add_table,
            self.drop_table,
            self.add_column,
            self.add_column,
            self.drop_column,
            self.change_column,
            self.add_key,
            self.add_key,
            self.drop_key,
            self.add_foreign_key,
            self.drop_foreign_key,
            self.change_foreign_key,
            self.change_policy,
            self.change_policy,
            self.change_database_policy,
        ]
        for _ in range(self.random.randint(1, 5)):
            self.random.choice(changes)(made)
        return made

    # -- tables

    def add_table(self, models: Models) -> None:
        name = f"t{models.next_number()}"
        spec = TableSpec(unprotected=self.random.random() < 0.2)
        models.tables[name] = spec
        for _ in range(self.random.randint(1, 5)):
            self._add_column(models, spec)
        for _ in range(self.random.randint(0, 2)):
            self._add_key(models, spec)
        if self.random.random() < 0.6:
            self._add_foreign_key(models, spec)
        if self.random.random() < 0.6:
            spec.policy = self._policy(models)

    def drop_table(self, models: Models) -> None:
        """One that no other refers to."""
        referred = {key.parent for spec in models.tables.values() for key in spec.foreign_keys}
        free = [name for name in models.tables if name not in referred]
        if free and len(models.tables) > 1:
            del models.tables[self.random.choice(free)]

    def _table(self, models: Models) -> TableSpec:
        return self.random.choice(list(models.tables.values()))

    # -- columns

    def add_column(self, models: Models) -> None:
        self._add_column(models, self._table(models))

    def _add_column(self, models: Models, spec: TableSpec) -> str:
        name = f"c{models.next_number()}"
        kinds = [kind for kind in TYPES if kind != "bool" or models.booleans]
        kind = self.random.choice([*kinds, "int", "short"])
        spec.columns[name] = ColumnSpec(
            kind,
            nullable=self.random.random() < 0.7,
            comment=self.random.choice([None, None, "a comment", "it is 100%"]),
            default=DEFAULTS.get(kind) if self.random.random() < 0.3 else None,
        )
        return name

    def drop_column(self, models: Models) -> None:
        """With its keys."""
        spec = self._table(models)
        if len(spec.columns) < 2:
            return
        name = self.random.choice(list(spec.columns))
        del spec.columns[name]
        spec.keys = [key for key in spec.keys if name not in key.columns]
        spec.foreign_keys = [key for key in spec.foreign_keys if key.column != name]

    def change_column(self, models: Models) -> None:
        spec = self._table(models)
        free = [name for name in spec.columns if name not in spec.used]
        if not free:
            return
        column = spec.columns[self.random.choice(free)]
        change = self.random.choice(["kind", "nullable", "comment"])
        if change == "kind":
            column.kind = CHANGES.get(column.kind, column.kind)
        elif change == "nullable":
            column.nullable = not column.nullable
        else:
            column.comment = self.random.choice([None, "another comment"])

    # -- keys

    def add_key(self, models: Models) -> None:
        self._add_key(models, self._table(models))

    def _add_key(self, models: Models, spec: TableSpec) -> None:
        able = [name for name, column in spec.columns.items() if column.kind != "text"]
        if not able:
            return
        columns = tuple(self.random.sample(able, self.random.randint(1, min(2, len(able)))))
        kind = self.random.choice(["unique", "unique", "unique index", "index"])
        same = [key for key in spec.keys if sorted(key.columns) == sorted(columns)]
        if same:  # Alembic tells UNIQUE keys apart by their columns
            return
        named = kind != "unique" or models.all_named or self.random.random() < 0.7
        name = f"k{models.next_number()}" if named else None
        spec.keys.append(KeySpec(kind, name, columns))

    def drop_key(self, models: Models) -> None:
        spec = self._table(models)
        if spec.keys:
            spec.keys.remove(self.random.choice(spec.keys))

    def add_foreign_key(self, models: Models) -> None:
        self._add_foreign_key(models, self._table(models))

    def _add_foreign_key(self, models: Models, spec: TableSpec) -> None:
        """To a table that was there before, so that there is no circle. Not to itself: the server
        cannot rebuild such a table."""
        names = list(models.tables)
        own = next(name for name in names if models.tables[name] is spec)
        if own == names[0]:
            return
        parent = self.random.choice(names[: names.index(own)])
        taken = {key.column for key in spec.foreign_keys}
        able = [
            name
            for name, column in spec.columns.items()
            if column.kind == "int" and column.default is None and name not in taken
        ]
        if not able:
            able = [f"c{models.next_number()}"]
            spec.columns[able[0]] = ColumnSpec("int")
        column = self.random.choice(able)
        ondelete, onupdate = self.random.choice(RULES), self.random.choice(RULES)
        if not spec.columns[column].nullable:
            ondelete, onupdate = (
                None if rule == "SET NULL" else rule for rule in (ondelete, onupdate)
            )
        named = models.all_named or self.random.random() < 0.5
        name = f"f{models.next_number()}" if named else None
        spec.foreign_keys.append(ForeignKeySpec(name, column, parent, ondelete, onupdate))

    def drop_foreign_key(self, models: Models) -> None:
        spec = self._table(models)
        if spec.foreign_keys:
            spec.foreign_keys.remove(self.random.choice(spec.foreign_keys))

    def change_foreign_key(self, models: Models) -> None:
        spec = self._table(models)
        if spec.foreign_keys:
            key = self.random.choice(spec.foreign_keys)
            key.ondelete = None if key.ondelete == "CASCADE" else "CASCADE"

    # -- policies

    def _policy(self, models: Models) -> tuple[str, str | None]:
        named = self.random.random() < 0.5
        name = f"{models.prefix}_{models.next_number()}" if named else None
        return self.random.choice(RANGES), name

    def change_policy(self, models: Models) -> None:
        """Another range, another policy, one more or one less."""
        spec = self._table(models)
        if spec.policy is None or self.random.random() < 0.3:
            spec.policy = self._policy(models)
        elif self.random.random() < 0.6:
            spec.policy = self.random.choice(RANGES), spec.policy[1]
        else:
            spec.policy = None

    def change_database_policy(self, models: Models) -> None:
        if models.database_policy is None:
            models.database_policy = self._policy(models)
        elif self.random.random() < 0.6:
            models.database_policy = self.random.choice(RANGES), models.database_policy[1]
        else:
            models.database_policy = None
