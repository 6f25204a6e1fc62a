"""ALTER TABLE: in place, or as a rebuild under a new id (docs/server.md, What rebuilds a table)."""

from __future__ import annotations

from dataclasses import replace

from ..compiler.headings import text as expression_text
from ..errors import SqlError
from ..names import fold
from ..parsing.ddl_statements import Action, AlterTable, ColumnSpec, KeySpec
from ..parsing.dialect import parse_expression
from ..parsing.redact import unsupported
from ..storage.records import Result
from ..types.columns import SqlType
from ..types.definition import ColumnDef, ForeignKeyDef, Named, TableDef, Version
from ..types.values import Stored
from ..versions.rules import Rules
from . import generated
from .constraints import constraint_error, not_null
from .ddl import check_default, default_text, make_column, put_index, remove_index, rename_table
from .keys import (
    add_foreign_key,
    add_index,
    find_keys,
    home_of,
    refuse_keyless_parent,
    refuse_needed_key,
    refuse_own_key,
    set_primary,
    sorted_indexes,
)
from .row_writer import RowWriter
from .show_create import create_table_text
from .workspace import Workspace

_REBUILDING = {"add", "drop", "drop_primary", "add_primary", "set_default", "drop_default"}


def alter_table(session: Workspace, statement: AlterTable) -> Result:
    session.refuse_system(statement.table.database, statement.table.name)
    version = session.need_table(statement.table.database, statement.table.name)
    if version.definition.view is not None:
        raise SqlError.internal("you should use alter view statemnt for View")
    for action in statement.actions:
        check_position(version.definition, action)
    rebuilding = any(
        rebuilds(version.definition, action, session.rules) for action in statement.actions
    )
    if not rebuilding:
        started = version.definition
        for action in statement.actions:
            version = in_place(session, version, action, started)
        return Result()
    for action in statement.actions:
        if rebuilds(version.definition, action, session.rules):
            refuse_own_key(session, version, action.kind)
    definition = version.definition
    for action in statement.actions:
        definition = changed(session, version, definition, action)
    definition = _refilled(version.definition, sorted_indexes(definition), statement.actions)
    for key in definition.foreign_keys:
        refuse_keyless_parent(session, version, definition, key)
    session.storage.locks.wait_free(
        session, ("publishing", version.account_id), session.context.deadline_seconds, session.gone
    )
    session.storage.locks.acquire(
        session, ("rebuild", version.account_id, version.id), session.context.deadline_seconds
    )
    if session.rules.rebuild_forgets_foreign_keys:
        keys = tuple(replace(key, listed=False) for key in definition.foreign_keys)
        definition = replace(definition, foreign_keys=keys)
    new = rebuild(session, version, definition)
    copied = replace(definition, name=f"{definition.name}_copy_{new.id}")
    session.store.sources[new.version] = create_table_text(
        replace(new, definition=copied), session.rules
    )
    if version.definition.auto_column is not None and session.rules.rebuild_skips_numbers:
        start = version.definition.auto_start
        session.store.next_block(version.physical, new.physical, start)
    session.emit("rebuild_table", new, version.id, new.id)
    return Result()


def _refilled(before: TableDef, definition: TableDef, actions: list[Action]) -> TableDef:
    """The definition with the indexes sound that the rebuild fills from the rows.

    The server copies the others as they are, also those that lack rows: it looks for the names of
    the changed columns among those of the indexes.
    """
    changed_ones = {fold(action.name) for action in actions if action.name}
    every = before.primary != definition.primary
    indexes = tuple(
        replace(index, mark="") if every or index.name in changed_ones else index
        for index in definition.indexes
    )
    return replace(definition, indexes=indexes)


def _refuse_null_key(definition: TableDef, column: ColumnDef, spec: ColumnSpec) -> None:
    null = spec.nullable or (spec.default or "").upper() == "NULL"
    if null and column.key in definition.primary:
        raise SqlError(
            1171,
            "All parts of a PRIMARY KEY must be NOT NULL; if you need NULL in a key, use UNIQUE "
            "instead",
        )


def rebuilds(definition: TableDef, action: Action, rules: Rules) -> bool:
    """Whether this clause gives the table a new id."""
    if action.kind in _REBUILDING:
        return True
    if action.kind == "rename_column":
        return rules.rename_column_rebuilds
    old = definition.column(action.name)
    remarks = (
        rules.comments_change_in_place
        and old is not None
        and action.column is not None
        and _only_remarks(old, action.column)
    )
    if action.kind == "change":
        return not (
            remarks and old is not None and _stays(definition.columns, old, action.position)
        )
    if action.kind != "modify" or action.column is None:
        return False
    if old is None or not _stays(definition.columns, old, action.position):
        return True
    if rules.same_length_rebuilds and action.column.type.width == old.type.width:
        return True
    return not (remarks or _fits_in_place(old, action.column))


def _stays(columns: tuple[ColumnDef, ...], column: ColumnDef, position: str | None) -> bool:
    """Whether FIRST or AFTER leaves the column where it is."""
    if position is None:
        return True
    at = columns.index(column)
    if position == "":
        return at == 0
    return at > 0 and columns[at - 1].lower == fold(position)


def _only_remarks(old: ColumnDef, new: ColumnSpec) -> bool:
    """Whether nothing but the comment and the default may differ."""
    if new.unique or new.primary or new.checks or new.generated is not None:
        return False
    nullable = new.nullable is not False
    return (
        fold(new.name or old.name) == old.lower
        and new.type == old.type
        and nullable == old.nullable
        and new.auto_increment == old.auto_increment
    )


def _fits_in_place(old: ColumnDef, new: ColumnSpec) -> bool:
    """A CHAR or VARCHAR as long as before or longer; its default and comment may change."""
    if new.unique or new.primary or new.checks or new.auto_increment:
        return False
    if new.type.kind != old.type.kind or old.type.kind not in ("char", "varchar"):
        return False
    return new.type.width >= old.type.width and (new.nullable is not False or not old.nullable)


def check_position(definition: TableDef, action: Action) -> None:
    """Refuse an AFTER that names no other column."""
    if not action.position:
        return
    if definition.column(action.position) is None or (
        action.name and fold(action.position) == fold(action.name)
    ):
        raise SqlError(1054, f"Unknown column '{action.position}' in 'Columns Set'")


def column_of(definition: TableDef, name: str) -> ColumnDef:
    found = definition.column(name)
    if found is None:
        raise SqlError(1054, f"Unknown column '{name}' in '{definition.name}'")
    return found


# In place


def in_place(session: Workspace, version: Version, action: Action, started: TableDef) -> Version:
    """One clause; *started* is the definition before the first one."""
    home, definition = home_of(session, version), version.definition
    kind = action.kind
    if kind == "rename":
        if (action.new_name, action.name or home.name) == (version.name, home.name):
            return version
        return rename_table(session, version, Named(action.name, action.new_name))
    if kind == "add_key" and action.key is not None:
        return put_index(session, version, action.key)
    if kind == "drop_key":
        return remove_index(session, version, action.name)
    if kind == "add_foreign" and action.foreign_key is not None:
        new = add_foreign_key(session, home, definition, action.foreign_key)
        check_rows(session, version, new)
        # Those of one ALTER stand before those that the table has, in their own order.
        before = len(started.foreign_keys)
        keys = new.foreign_keys
        added = len(definition.foreign_keys) - before
        own = (keys[-1].parent_database, keys[-1].parent_table) == (home.name, version.name)
        listed = not (own and session.rules.alter_forgets_own_keys)
        last = replace(keys[-1], listed=listed)
        new = replace(new, foreign_keys=(*keys[:added], last, *keys[added:-1]))
    elif kind in ("drop_foreign", "drop_constraint"):
        new = drop_foreign(definition, action.name)
    elif kind == "comment":
        new = replace(definition, comment=action.text)
    elif kind == "rename_column":
        return rename_column(session, version, action)
    elif kind == "charset":
        new = definition
    elif kind == "visible":
        if all(index.name != fold(action.name) for index in definition.indexes):
            raise SqlError.internal(f"Can't ALTER '{action.name}'; check that column/key exists")
        new = replace(
            definition,
            indexes=tuple(
                replace(i, visible=bool(action.text)) if i.name == fold(action.name) else i
                for i in definition.indexes
            ),
        )
    elif kind in ("modify", "change") and action.column is not None:
        old = column_of(definition, action.name)
        _refuse_null_key(definition, old, action.column)
        column = make_column(action.column, old.key)
        if old.key in definition.primary:
            column = replace(column, nullable=False)
        refuse_foreign_change(session, version, definition, old, column)
        check_default(session, column)
        new = definition.with_column(column)
    elif kind in ("auto_increment", "engine"):
        refuse_number(session, definition, action)
        raise SqlError(
            20301,
            f"invalid input: unsupported alter option in inplace mode: {kind} = {action.text}",
        )
    elif kind == "add_check":
        text = clause_text(session, action).removeprefix("add ")
        raise SqlError.internal(f"unsupported alter option in inplace mode: {text}")
    elif kind == "partition" and not session.rules.partitions_are_tables:
        text = f"not supported: unsupported alter option in inplace mode:  {action.source.lower()}"
        raise SqlError(20105, text)
    else:
        raise unsupported(session.statement_text)
    return session.catalogue.replace(home, version, new)


def check_rows(session: Workspace, version: Version, definition: TableDef) -> None:
    """Refuse a new foreign key that existing rows violate."""
    if not session.foreign_key_checks:
        return
    key = definition.foreign_keys[-1]
    own = key.parent_table == version.name and key.parent_database == version.database
    parent = version if own else session.catalogue.parent(version, key)
    if parent is None:
        return
    theirs = find_keys(parent.definition, list(key.parent_columns))
    match = " AND ".join(f"p.{b} = c.{a}" for a, b in zip(key.columns, theirs, strict=True))
    known = " AND ".join(f"c.{a} IS NOT NULL" for a in key.columns)
    row = session.run(
        f"SELECT 1 FROM {version.table} c WHERE {known} AND "
        f"NOT EXISTS (SELECT 1 FROM {parent.table} p WHERE {match}) LIMIT 1"
    ).fetchone()
    if row is not None:
        raise SqlError(
            1452, "Cannot add or update a child row: a foreign key constraint fails", "23000"
        )


def drop_foreign(definition: TableDef, name: str) -> TableDef:
    kept = tuple(key for key in definition.foreign_keys if key.name != fold(name))
    if len(kept) == len(definition.foreign_keys):
        raise SqlError.internal(f"Can't DROP '{name}'; check that column/key exists")
    return replace(definition, foreign_keys=kept)


def rename_column(session: Workspace, version: Version, action: Action) -> Version:
    definition = version.definition
    generated.refuse_change(definition, action.name)
    old = column_of(definition, action.name)
    other = definition.column(action.new_name)
    if other is not None and other.key != old.key:
        raise SqlError(1060, f"Duplicate column name '{fold(action.new_name)}'")
    home = home_of(session, version)
    followers: dict[tuple[str, str], tuple[ForeignKeyDef, ...]] = {}
    for child, key in session.catalogue.children(version):
        names = tuple(action.new_name if fold(n) == old.lower else n for n in key.parent_columns)
        if names == key.parent_columns:
            continue
        own = child.version == version.version
        place = (child.database, child.name)
        before = definition.foreign_keys if own else child.definition.foreign_keys
        keys = tuple(
            replace(k, parent_columns=names) if k == key else k
            for k in followers.get(place, before)
        )
        if own:
            definition = replace(definition, foreign_keys=keys)
        else:
            followers[place] = keys
    # Foreign keys that name the column are away while its name changes.
    for database, name in followers:
        child = session.need_table(database, name)
        left = tuple(
            k
            for k in child.definition.foreign_keys
            if (k.parent_database, k.parent_table) != (version.database, version.name)
        )
        session.catalogue.replace(
            home_of(session, child), child, replace(child.definition, foreign_keys=left)
        )
    new = definition.with_column(replace(old, name=action.new_name))
    found = session.catalogue.replace(home, version, new)
    for (database, name), keys in followers.items():
        child = session.need_table(database, name)
        session.catalogue.replace(
            home_of(session, child), child, replace(child.definition, foreign_keys=keys)
        )
    return found


# -- rebuilding ------------------------------------------------------------------------


def changed(session: Workspace, version: Version, definition: TableDef, action: Action) -> TableDef:
    """The definition after one clause of a rebuilding ALTER."""
    kind = action.kind
    if kind in ("drop", "modify", "change", "rename_column"):
        generated.refuse_change(definition, action.name)
    if kind == "add":
        return add_columns(session, definition, action)
    if kind == "drop":
        return drop_column(session, version, definition, action)
    if kind in ("modify", "change") and action.column is not None:
        return change_column(session, version, definition, action, action.column)
    if kind in ("set_default", "drop_default"):
        old = column_of(definition, action.name)
        text = default_text(action.text) if kind == "set_default" else None
        new = replace(old, default=None if text == "null" else text)
        check_default(session, new)
        return definition.with_column(new)
    if kind == "drop_primary":
        if not definition.primary:
            raise SqlError(1091, "Can't DROP 'PRIMARY'; check that column/key exists")
        refuse_needed_key(session, version, "PRIMARY")
        return replace(definition, primary=())
    if kind == "add_primary" and action.key is not None:
        for name in action.key.columns:
            if definition.column(name) is None:
                raise SqlError(1072, f"Key column '{name}' doesn't exist in table")
        return set_primary(definition, action.key.columns)
    if kind == "rename_column":
        old = column_of(definition, action.name)
        return definition.with_column(replace(old, name=action.new_name))
    refuse_number(session, definition, action)
    text = clause_text(session, action)
    raise SqlError(20301, f"invalid input: unsupported alter option in copy mode: {text}")


def refuse_number(session: Workspace, definition: TableDef, action: Action) -> None:
    """Refuse AUTO_INCREMENT = n where the server takes it of tables that have such a column."""
    if action.kind != "auto_increment" or not session.rules.auto_increment_is_set:
        return
    if definition.auto_column is not None:
        raise unsupported(session.statement_text)
    text = f"Table '{definition.name}' does not have an AUTO_INCREMENT column"
    raise SqlError(20301, f"invalid input: {text}")


def clause_text(session: Workspace, action: Action) -> str:
    """Print a clause as the server quotes it in its errors."""
    match action.kind:
        case "comment":
            return "comment = '" + action.text.replace("'", "''") + "'"
        case "auto_increment" | "engine":
            return f"{action.kind} = {action.text}"
        case "charset":
            return f"charset = {action.text}"
        case "drop_key":
            return f"drop index {action.name}"
        case "drop_foreign":
            return f"drop foreign key {action.name}"
        case "rename":
            return f"rename to {action.new_name}"
        case "visible":
            return f"alter index {action.name} {'visible' if action.text else 'invisible'}"
        case "add_check":
            name = f"constraint {action.name} " if action.name else ""
            check = f"check ({expression_text(parse_expression(action.text))})"
            return (
                f"add {name}{check} enforced" if session.rules.checks_are_kept else f"add {check}"
            )
        case "add_key" if action.key is not None:
            word = "unique key" if action.key.kind == "unique" else "index"
            return f"add {word} {action.key.name} ({', '.join(action.key.columns)})"
        case "add_foreign" if action.foreign_key is not None:
            key = action.foreign_key
            parent = f"{key.parent.name}({', '.join(key.parent_columns)})"
            columns = ", ".join(key.columns)
            name = f"constraint {key.name} " if key.name else ""
            return f"add {name}foreign key fk_0 ({columns}) references {parent}"
        case _:
            return action.source


def _place(
    columns: tuple[ColumnDef, ...], column: ColumnDef, position: str | None, definition: TableDef
) -> tuple[ColumnDef, ...]:
    rest = [c for c in columns if c.key != column.key]
    if position is None:
        index = next((i for i, c in enumerate(columns) if c.key == column.key), len(rest))
    elif position == "":
        index = 0
    else:
        after = column_of(definition, position)
        index = rest.index(after) + 1
    return (*rest[:index], column, *rest[index:])


def add_columns(session: Workspace, definition: TableDef, action: Action) -> TableDef:
    for spec in action.columns:
        if definition.column(spec.name) is not None:
            raise SqlError(1060, f"Duplicate column name '{fold(spec.name)}'")
        column = make_column(spec, f"c{definition.next_key}")
        check_default(session, column)
        columns = _place(definition.columns, column, action.position, definition)
        definition = replace(definition, columns=columns, next_key=definition.next_key + 1)
        generated.check(definition)
        if spec.primary:
            definition = set_primary(definition, [spec.name])
        if spec.unique:
            definition = add_index(definition, KeySpec("unique", "", [spec.name]))
    return definition


def drop_column(
    session: Workspace, version: Version, definition: TableDef, action: Action
) -> TableDef:
    old = definition.column(action.name)
    if old is None:
        raise SqlError(1091, f"Can't DROP '{action.name}'; check that column/key exists")
    if len(definition.columns) == 1:
        raise SqlError(1113, "A table must have at least 1 column")
    for key in definition.foreign_keys:
        if old.key in key.columns:
            raise SqlError(
                1828,
                f"Cannot drop column '{old.lower}': needed in a foreign key constraint "
                f"'{key.name}'",
            )
    for child, key in session.catalogue.children(version):
        if old.lower in (fold(name) for name in key.parent_columns):
            raise SqlError(
                1829,
                f"Cannot drop column '{old.lower}': needed in a foreign key constraint "
                f"'{key.name}' of table '{child.name}'",
            )
    indexes = []
    for index in definition.indexes:
        left = tuple(key for key in index.columns if key != old.key)
        if left:
            indexes.append(replace(index, columns=left))
    return replace(
        definition,
        columns=tuple(column for column in definition.columns if column.key != old.key),
        primary=tuple(key for key in definition.primary if key != old.key),
        indexes=tuple(indexes),
    )


def change_column(
    session: Workspace,
    version: Version,
    definition: TableDef,
    action: Action,
    spec: ColumnSpec,
) -> TableDef:
    old = column_of(definition, action.name)
    other = definition.column(spec.name)
    if other is not None and other.key != old.key:
        raise SqlError(1060, f"Duplicate column name '{fold(spec.name)}'")
    if spec.checks:
        shown = "true" if session.rules.checks_are_kept else "false"
        raise SqlError(
            20105, f"not supported: unsupport column definition &{{{{<nil>}}   {shown}}}"
        )
    _refuse_null_key(definition, old, spec)
    new = make_column(spec, old.key)
    if old.key in definition.primary:
        new = replace(new, nullable=False)
    refuse_foreign_change(session, version, definition, old, new)
    check_default(session, new)
    columns = _place(definition.columns, new, action.position, definition)
    definition = replace(definition, columns=columns)
    generated.check(definition)
    if spec.primary:
        definition = set_primary(definition, [spec.name])
    if spec.unique:
        definition = add_index(definition, KeySpec("unique", "", [spec.name]))
    return definition


def refuse_foreign_change(
    session: Workspace, version: Version, definition: TableDef, old: ColumnDef, new: ColumnDef
) -> None:
    if old.type == new.type and old.name == new.name:
        return
    for key in definition.foreign_keys:
        if old.key in key.columns and old.type != new.type:
            raise SqlError(
                1832,
                f"Cannot change column '{old.lower}': used in a foreign key constraint "
                f"'{key.name}'",
            )
    for child, key in session.catalogue.children(version):
        if old.lower in (fold(name) for name in key.parent_columns) and old.type != new.type:
            raise SqlError(
                1833,
                f"Cannot change column '{old.lower}': used in a foreign key constraint "
                f"'{key.name}' of table '{child.database}.{child.name}'",
            )


def rebuild(session: Workspace, version: Version, definition: TableDef) -> Version:
    """A new table under a new id with the old rows in their new form."""
    import sqlite3

    old_columns = {column.key: column for column in version.definition.columns}
    same = not generated.has_generated(definition) and all(
        column.key in old_columns
        and column.type == old_columns[column.key].type
        and (column.nullable or not old_columns[column.key].nullable)
        for column in definition.columns
    )
    home = home_of(session, version)
    checks, session.foreign_key_checks = session.foreign_key_checks, False
    try:
        if same and set(definition.primary) == set(version.definition.primary):
            return session.catalogue.rebuild(home, version, definition)
        writer = RowWriter(session, session.statement_text)
        keys = ", ".join(old_columns)
        look = f"SELECT {keys}, _lacks FROM {version.table} ORDER BY rowid"
        rows = session.run(look).fetchall()
        order = {key: index for index, key in enumerate(old_columns)}
        new = session.catalogue.rebuild(home, version, definition, copy=False)
        targets = ", ".join(column.key for column in definition.columns)
        marks = ", ".join("?" * (len(definition.columns) + 2))
        sql = f"INSERT INTO {new.table} ({targets}, _from, _lacks) VALUES ({marks})"
        auto = definition.auto_column
        for number, row in enumerate(rows, 1):
            stored: list[Stored] = []
            for column in definition.columns:
                if column.key in order:
                    old = old_columns[column.key]
                    value = row[order[column.key]]
                    cell = writer.cell(value, old.type, column, number)
                elif column is auto:
                    cell = number
                elif column.generated is not None or (
                    column.key in definition.primary and column.default is None
                ):
                    cell = None
                else:
                    cell = _filled(writer, column, number)
                if cell is None and not column.nullable and column.generated is None:
                    raise not_null(column)
                stored.append(cell)
            if generated.has_generated(definition):
                writer.fill(definition, stored)
            try:
                session.run(sql, [*stored, session.number, row[-1]])
            except sqlite3.IntegrityError as error:
                raise constraint_error(error, new, stored, session.rules) from None
        return new
    finally:
        session.foreign_key_checks = checks


_ZERO: tuple[Stored, SqlType] = 0, SqlType("bigint")
_EMPTY: dict[str, tuple[Stored, SqlType]] = {
    "char": ("", SqlType("varchar", 0)),
    "varchar": ("", SqlType("varchar", 0)),
    "text": ("", SqlType("varchar", 0)),
    "blob": (b"", SqlType("blob")),
    "json": ("{}", SqlType("varchar", 2)),
    "time": (0, SqlType("time")),
    "date": ("0001-01-01", SqlType("varchar", 10)),
    "datetime": ("0001-01-01 00:00:00", SqlType("varchar", 19)),
}


def _filled(writer: RowWriter, column: ColumnDef, number: int) -> Stored:
    """Value of existing rows in an added column."""
    if column.default is None and not column.nullable and column.type.is_numeric:
        value, kind = _ZERO
    elif column.default is None and not column.nullable:
        if column.type.kind not in _EMPTY:
            raise unsupported(writer.statement)
        value, kind = _EMPTY[column.type.kind]
    else:
        value, kind = writer.default(column)
    return writer.cell(value, kind, column, number)
