"""Primary, secondary and foreign keys of a table's definition."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import replace

from ..errors import SqlError
from ..names import fold
from ..parsing.ddl_statements import (
    ForeignKeySpec,
    KeySpec,
)
from ..storage.store import FIRST_ID
from ..types.definition import (
    DatabaseVersion,
    ForeignKeyDef,
    IndexDef,
    TableDef,
    Version,
)
from ..versions.rules import Rules
from .workspace import Workspace


def home_of(session: Workspace, version: Version) -> DatabaseVersion:
    return session.need_database(version.database, account_id=version.account_id)


def find_keys(definition: TableDef, names: list[str]) -> tuple[str, ...]:
    keys = []
    for name in names:
        column = definition.column(name)
        if column is None:
            raise SqlError(20301, f"invalid input: column '{fold(name)}' is not exist")
        keys.append(column.key)
    return tuple(keys)


def add_index(definition: TableDef, spec: KeySpec) -> TableDef:
    """The definition with one more key, named after its first column where it has no name."""
    keys = find_keys(definition, spec.columns)
    for key in keys:
        kind = definition.by_key(key).type
        if kind.kind in ("text", "blob", "json", "datalink") and spec.kind != "fulltext":
            raise SqlError(
                20105,
                f"not supported: {kind.kind.upper()} column "
                f"'{definition.by_key(key).lower}' cannot be in index",
            )
    for number, key in enumerate(keys):
        if key in keys[:number]:
            # The server's own table of keys stands in the way, under the new key's id.
            entry = f"({FIRST_ID},{definition.by_key(key).lower})"
            raise SqlError(1062, f"Duplicate entry '{entry}' for key '(id,column_name)'")
    taken = {fold(index.name) for index in definition.indexes}
    name = spec.name
    if not name:
        base = definition.by_key(keys[0]).lower
        name, number = base, 2
        while name in taken:
            name, number = f"{base}_{number}", number + 1
    elif fold(name) in taken:
        raise SqlError(1061, f"duplicate key name '{name}'")
    if spec.algorithm == "hash":
        raise SqlError(20301, f"invalid input: unsupported index type: {spec.algorithm}")
    if spec.algorithm not in ("", "btree"):
        raise SqlError.not_emulated(f"USING {spec.algorithm}")
    index = IndexDef(
        fold(name),
        keys,
        spec.kind == "unique",
        spec.comment,
        "fulltext" if spec.kind == "fulltext" else spec.algorithm * (spec.kind == "key"),
        spec.visible,
        spec.parser,
    )
    return replace(definition, indexes=(*definition.indexes, index))


def sorted_indexes(definition: TableDef) -> TableDef:
    """Unique keys first, as the server lists the keys of a new table."""
    ordered = sorted(definition.indexes, key=lambda index: not index.unique)
    return replace(definition, indexes=tuple(ordered))


def set_primary(definition: TableDef, names: list[str]) -> TableDef:
    if definition.primary:
        raise SqlError(1068, "Multiple primary key defined")
    keys = find_keys(definition, names)
    for number, key in enumerate(keys):
        if key in keys[:number]:
            lower = definition.by_key(key).lower
            raise SqlError(20301, f"invalid input: duplicate column name '{lower}' in primary key")
        kind = definition.by_key(key).type.kind
        if kind in ("text", "blob", "json"):
            raise SqlError(20105, f"not supported: {kind} type in primary key")
    columns = tuple(
        replace(column, nullable=False) if column.key in keys else column
        for column in definition.columns
    )
    return replace(definition, columns=columns, primary=keys)


def add_foreign_key(
    session: Workspace, home: DatabaseVersion, definition: TableDef, spec: ForeignKeySpec
) -> TableDef:
    """The definition with one more foreign key, its parent checked."""
    for name in spec.columns:
        if definition.column(name) is None:
            text = f"column '{fold(name)}' no exists in the creating table '{definition.name}'"
            raise SqlError.no_column(text, internal=True)
    keys = find_keys(definition, spec.columns)
    parent_database = spec.parent.database or home.name
    if (parent_database, spec.parent.name) == (home.name, definition.name):
        parent = definition
    else:
        account = session.context.account_id
        found_home = session.catalogue.database(account, parent_database)
        if found_home is None:
            # The server looks in the child's database then.
            raise SqlError(1146, f"no such table {home.name}.{spec.parent.name}")
        found = session.catalogue.table(found_home, spec.parent.name)
        if found is None and not session.foreign_key_checks:
            raise SqlError.not_emulated("a foreign key to a table that is not there yet")
        if found is None:
            raise SqlError(1146, f"no such table {parent_database}.{spec.parent.name}")
        parent = found.definition
    names = spec.parent_columns or list(parent.names(parent.primary))
    if len(names) != len(keys):
        raise SqlError.not_emulated("a foreign key to fewer columns, of which the server panics")
    for name in names:
        if parent.column(name) is None:
            text = f"column '{fold(name)}' no exists in table '{parent.name}'"
            raise SqlError.no_column(text, internal=True)
    theirs = find_keys(parent, names)
    if parent is definition and set(keys) & set(theirs):
        raise SqlError.internal(
            f"foreign key {definition.by_key(keys[0]).lower} can not reference to itself"
        )
    parent_key = referenced_key(parent, names, session.rules)
    if not parent_key:
        raise SqlError.internal("failed to add the foreign key constraint")
    for ours, other in zip(keys, theirs, strict=True):
        mine, their_type = definition.by_key(ours), parent.by_key(other)
        if mine.type.kind != their_type.type.kind or mine.type.unsigned != their_type.type.unsigned:
            text = f"type of reference column '{their_type.lower}' is not match for column"
            raise SqlError.internal(f"{text} '{mine.lower}'")
    name = spec.name or str(uuid.uuid4())
    if any(fold(key.name) == fold(name) for key in definition.foreign_keys):
        raise SqlError(1061, f"Duplicate foreign key constraint name '{name}'")
    key = ForeignKeyDef(
        fold(name),
        keys,
        parent_database,
        spec.parent.name,
        tuple(parent.by_key(k).name for k in theirs),
        spec.on_delete,
        spec.on_update,
        parent_key,
    )
    return replace(definition, foreign_keys=(*definition.foreign_keys, key))


def referenced_key(parent: TableDef, columns: Iterable[str], rules: Rules) -> str:
    """The name of the key that a foreign key to these columns refers to; '' where there is none.

    The primary key comes first, then UNIQUE ones by their names.
    """
    unique = sorted((index.name, index.columns) for index in parent.indexes if index.unique)
    wanted = [fold(name) for name in columns]
    for name, keys in [("PRIMARY", parent.primary), *unique]:
        held = [fold(one) for one in parent.names(keys)]
        leads = held[: len(wanted)] == wanted
        if leads if rules.referenced_columns_lead else set(wanted) <= set(held):
            return name
    return ""


def refuse_needed_key(session: Workspace, version: Version, name: str) -> None:
    """Refuse (1553) to drop the key that a foreign key refers to."""
    if not session.rules.referenced_keys_stay:
        return
    for _, key in session.catalogue.children(version):
        if fold(key.parent_key) == fold(name):
            text = f"Cannot drop index '{key.parent_key}': needed in a foreign key constraint"
            raise SqlError(1553, text)


def own_keys_follow(version: Version, database: str, name: str) -> Iterator[ForeignKeyDef]:
    """The foreign keys of a copy: those of a table to itself are the copy's to itself."""
    for key in version.definition.foreign_keys:
        if (key.parent_database, key.parent_table) == (version.database, version.name):
            key = replace(key, parent_database=database, parent_table=name)
        yield key


def refuse_own_key(session: Workspace, version: Version, change: str) -> None:
    """A table that refers to itself cannot be rebuilt: the server looks for its parent by id."""
    own = version.database, version.name
    if change in session.rules.own_key_stops and any(
        (key.parent_database, key.parent_table) == own for key in version.definition.foreign_keys
    ):
        raise SqlError.internal(
            f"can not find table by id 0: accountId: {session.context.account_id}"
        )


def refuse_keyless_parent(
    session: Workspace, version: Version, definition: TableDef, key: ForeignKeyDef
) -> None:
    """Refuse a foreign key whose parent has lost its key; copies and rebuilds check that."""
    own = (key.parent_database, key.parent_table) == (version.database, version.name)
    found = None if own else session.catalogue.parent(version, key)
    parent = definition if own else None if found is None else found.definition
    if parent is None:
        return
    if not referenced_key(parent, key.parent_columns, session.rules):
        raise SqlError.internal("failed to add the foreign key constraint")
