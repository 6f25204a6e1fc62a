"""CREATE, DROP, TRUNCATE and RENAME of databases, tables, views and indexes; CLONE and LIKE."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import exp

from ..compiler.headings import source_text
from ..compiler.query import Compiler
from ..errors import SqlError
from ..names import fold
from ..parsing.ddl_statements import (
    ColumnSpec,
    CreateIndex,
    CreateTable,
    CreateView,
    DropIndex,
    DropTable,
    KeySpec,
    Truncate,
)
from ..parsing.dialect import parse_expression
from ..parsing.lexer import TIME_MARK, Token, tokens
from ..parsing.redact import unsupported
from ..storage.records import Result
from ..types.columns import SqlType
from ..types.definition import (
    ColumnDef,
    DatabaseVersion,
    Named,
    TableDef,
    Version,
)
from ..versions.rules import Rules
from . import generated
from .clone import check_clone, clone_table, saying_ok
from .constraints import entry_text
from .insert import Inserter
from .keys import (
    add_foreign_key,
    add_index,
    home_of,
    own_keys_follow,
    refuse_keyless_parent,
    refuse_needed_key,
    refuse_own_key,
    set_primary,
    sorted_indexes,
)
from .partitions import partitioned
from .row_writer import RowWriter, literal_cell
from .upsert import Insertion
from .workspace import Workspace

# -- tables ----------------------------------------------------------------------------


def default_text(text: str | None) -> str | None:
    """A default as SHOW CREATE TABLE prints it; it can be parsed again."""
    if text is None:
        return None
    word = _BARE.fullmatch(text.strip())
    if word is not None:
        return f"{word.group(1)}()"
    return _printed(parse_expression(text))


_BARE = re.compile(r"(current_timestamp|localtime|localtimestamp)(?:\(\))?", re.IGNORECASE)


def _printed(node: exp.Expr) -> str:
    if isinstance(node, exp.Neg):
        return f"({source_text(node)})"
    if isinstance(node, exp.Literal) and node.is_string:
        return "'" + str(node.this).replace("'", "''") + "'"
    if isinstance(node, exp.Paren) and isinstance(node.this, exp.Neg):
        return _printed(node.this)
    if isinstance(node, exp.Paren):
        return f"({_printed(node.this)})"
    if isinstance(node, (exp.CurrentTimestamp,)) and node.this is not None:
        return f"current_timestamp({node.this.name})"
    return source_text(node)


def make_column(spec: ColumnSpec, key: str) -> ColumnDef:
    """Make a column as declared; keys add to it later."""
    default = default_text(spec.default)
    nullable = spec.nullable is not False and not spec.auto_increment and not spec.primary
    if spec.type.kind == "json" and default not in (None, "null"):
        raise SqlError(20105, f"not supported: JSON column '{spec.name}' cannot have default value")
    if spec.auto_increment and not spec.type.is_integer:
        raise SqlError(
            20105, "not supported: the auto_incr column is only support integer type now"
        )
    if default is not None and default.lower() == "null":
        if not nullable:
            raise _bad_default(spec.name)
        default = None
    return ColumnDef(
        spec.name,
        key,
        spec.type,
        nullable,
        default,
        default_text(spec.on_update),
        spec.auto_increment,
        spec.comment,
        None if spec.generated is None else generated.printed(spec.generated),
        spec.stored,
    )


def _bad_default(name: str) -> SqlError:
    return SqlError(20301, f"invalid input: invalid default value for column '{name}'")


def check_default(session: Workspace, column: ColumnDef) -> None:
    """Refuse a literal default that does not fit its column."""
    if column.default is None:
        return
    if (
        column.type.kind != "uuid"
        and "uuid()" in column.default.lower()
        and not (column.type.is_text and session.rules.uuid_default_of_text)
    ):
        raise _bad_default(column.name)
    node = parse_expression(column.default)
    read = next(node.find_all(exp.Column), None)
    if read is not None:
        text = f"invalid input: ambiguous column reference '{fold(read.name)}'"
        raise SqlError(20301, text)
    cell = literal_cell(node.this if isinstance(node, exp.Paren) else node)
    if cell is not None and cell[0] is not None:
        RowWriter(session, column.default).cell(cell[0], cell[1], column, 1)


def _refuse_duplicate(session: Workspace, columns: list[ColumnDef], name: str) -> None:
    same = [column.name for column in columns if fold(column.name) == fold(name)]
    if same and name not in same:
        raise unsupported(session.statement_text)  # the server takes them for two
    if same:
        raise SqlError(3819, f'constraint violation: duplicate column "{fold(name)}"')


def build(session: Workspace, home: DatabaseVersion, statement: CreateTable) -> TableDef:
    """The definition that CREATE TABLE (...) describes."""
    columns: list[ColumnDef] = []
    for number, spec in enumerate(statement.columns, 1):
        _refuse_duplicate(session, columns, spec.name)
        column = make_column(spec, f"c{number}")
        check_default(session, column)
        columns.append(column)
    if not columns:
        raise SqlError(4028, "A table must have at least one visible column.")
    definition = TableDef(
        statement.name.name,
        tuple(columns),
        comment=statement.comment,
        first_comment=statement.comment if statement.commented else None,
        auto_start=statement.auto_start,
        next_key=len(columns) + 1,
    )
    generated.check(definition)
    primary = [spec.name for spec in statement.columns if spec.primary]
    if len(primary) + sum(key.kind == "primary" for key in statement.keys) > 1:
        raise SqlError(20301, "invalid input: more than one primary key defined")
    if primary:
        definition = set_primary(definition, primary)
    for key in statement.keys:
        if key.kind == "primary":
            for name in key.columns:
                if definition.column(name) is None:
                    raise SqlError(
                        20301, f"invalid input: column '{fold(name)}' doesn't exist in table"
                    )
            definition = set_primary(definition, key.columns)
    unique = [key for key in statement.keys if key.kind == "unique"]
    unique += [KeySpec("unique", "", [c.name]) for c in statement.columns if c.unique]
    for key in [k for k in statement.keys if k.kind in ("key", "fulltext")] + unique:
        definition = add_index(definition, key)
    definition = sorted_indexes(definition)
    if session.rules.checks_are_kept:
        definition = replace(definition, checks=named_checks(statement))
        for _, text in definition.checks:
            generated.refuse_missing(definition, text)
    if statement.partition_by is not None:
        definition = partitioned(session, definition, statement.partition_by)
    for foreign in statement.foreign_keys:
        if any(spec.references is foreign for spec in statement.columns):
            continue
        definition = add_foreign_key(session, home, definition, foreign)
    return definition


def named_checks(statement: CreateTable) -> tuple[tuple[str, str], ...]:
    """CHECKs by name, as SHOW CREATE TABLE prints them; 3.x reads and forgets them."""
    return tuple(
        (check.name or f"__mo_chk_{number}", check.text)
        for number, check in enumerate(statement.checks, 1)
    )


def create_table(session: Workspace, statement: CreateTable) -> Result:
    if statement.clone is None:
        return _create_table(session, statement)
    return saying_ok(session, lambda: _create_table(session, statement), Result())


def _create_table(session: Workspace, statement: CreateTable) -> Result:
    home = session.new_home(statement.name.database)
    name = statement.name.name
    if statement.clone is not None:
        check_clone(session, statement.clone, statement.moment)
    if session.catalogue.table(home, name) is not None:
        # 3.x forgets IF NOT EXISTS of a clone outside of transactions.
        if statement.if_not_exists and (
            statement.clone is None or session.explicit or session.rules.clone_checks_if_not_exists
        ):
            return Result()
        raise SqlError(1050, f"table {name} already exists")
    if statement.clone is not None:
        clone_table(session, statement.clone, statement.moment, home, name)
        return Result()
    if statement.like is not None:
        pattern = session.table_of(
            session.need_database(statement.like.database), statement.like.name
        )
        if pattern.definition.view is not None:
            raise SqlError.internal(f"{pattern.database}.{pattern.name} is not BASE TABLE")
        for key in pattern.definition.foreign_keys:
            refuse_keyless_parent(session, pattern, pattern.definition, key)
        definition = replace(
            pattern.definition.copied(sound=True),
            name=name,
            foreign_keys=tuple(key.copied() for key in own_keys_follow(pattern, home.name, name)),
            auto_start=1,
        )
    elif statement.select:
        return create_as_select(session, home, statement)
    else:
        definition = build(session, home, statement)
    version = session.catalogue.add_table(home, definition, source=session.statement_text)
    session.emit("create_table", version, 0, version.id)
    return Result()


def create_as_select(session: Workspace, home: DatabaseVersion, statement: CreateTable) -> Result:
    """CREATE TABLE ... AS SELECT; of the past since 3.0.18 (docs/server.md, Time travel)."""
    found = tokens(statement.select)
    braces = [token.text[1:].strip().upper() for token in found if token.kind == "brace"]
    past = bool(braces)
    named = any(text.startswith("SNAPSHOT") for text in braces)
    if named and not session.rules.create_as_select_of_snapshots:
        # The server panics, and sends a stack behind this line.
        panic = "internal error: panic not supported in internal sql executor: "
        raise SqlError(session.rules.panic_code, panic)
    if past and not session.rules.create_as_select_of_past:
        raise SqlError(
            1105,
            "You have an error in your SQL syntax; check the manual that corresponds to your "
            "MatrixOne server version for the right syntax to use. syntax error at line 1 column "
            f'66 near "{_rewritten(session, found)}";',
        )
    compiler = Compiler(statement.select, session, session.context.database)
    tree = session.parse(statement.select, found)
    query = compiler.query(tree)
    columns = list(statement.columns)
    known = _copied_columns(session, tree)
    if len(known) != len(query.labels):
        known = [ColumnSpec("", kind, nullable=True) for kind in query.types]
    declared = {fold(spec.name) for spec in columns}
    for label, kind, spec in zip(query.labels, query.types, known, strict=True):
        if fold(label) not in declared:
            columns.append(replace(spec, name=label, type=_stored_type(kind)))
    definition = build(session, home, replace(statement, columns=columns))
    rows = session.run(query.sql, compiler.parameters).fetchall()
    version = session.catalogue.add_table(home, definition, source=session.statement_text)
    session.emit("create_table", version, 0, version.id)
    writer = Inserter(session, statement.select)
    targets = writer.insert_columns(definition, query.labels)
    cells = (list(zip(row, query.types, strict=True)) for row in rows)
    changed = writer.write(Insertion(version, targets, "plain"), cells)
    return Result(affected=changed.affected)


def _rewritten(session: Workspace, found: list[Token]) -> str:
    """Text that 3.x makes of the brace part of a read of the past, and then cannot parse."""
    brace = next(token for token in found if token.kind == "brace")
    return f"mo-timestamp = {session.moment(brace.text[1:-1])}}})"


def _stored_type(kind: SqlType) -> SqlType:
    if kind.kind == "any":
        return SqlType("text")
    return SqlType("timestamp") if kind.kind == "timestamp" else kind


def _copied_columns(session: Workspace, tree: exp.Expr) -> list[ColumnSpec]:
    """Properties that columns of a plain SELECT keep of their tables'; none in other queries."""
    if not isinstance(tree, exp.Select):
        return []
    source = tree.args.get("from_") or tree.args.get("from")
    nodes = [] if source is None else [source.this]
    nodes += [join.this for join in tree.args.get("joins") or []]
    tables: dict[str, TableDef] = {}
    for node in nodes:
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.Identifier):
            return []
        name = node.name.partition(TIME_MARK)[0]
        if name != node.name:
            return []
        home = session.need_database(fold(node.db))
        version = session.catalogue.table(home, fold(name))
        if version is None or version.definition.view is not None:
            return []
        tables[fold(node.alias or name)] = version.definition
    found: list[ColumnSpec] = []
    for item in tree.expressions:
        if item.is_star:
            of = [fold(item.table)] if isinstance(item, exp.Column) else list(tables)
            found += [_copied(c) for t in of if t in tables for c in tables[t].columns]
            continue
        node = item.unalias()
        column = None
        if isinstance(node, exp.Column):
            wanted = [tables.get(fold(node.table))] if node.table else list(tables.values())
            column = next((c for t in wanted if t for c in [t.column(node.name)] if c), None)
        constant = isinstance(node, (exp.Literal, exp.Boolean, exp.CurrentTimestamp)) or (
            isinstance(node, exp.Anonymous) and str(node.this).lower() == "now"
        )
        if column is None:
            found.append(ColumnSpec("", SqlType("any"), nullable=not constant))
        else:
            found.append(_copied(column))
    return found


def _copied(column: ColumnDef) -> ColumnSpec:
    return ColumnSpec(
        "",
        column.type,
        nullable=column.nullable,
        default=column.default,
        auto_increment=column.auto_increment,
    )


def drop_tables(session: Workspace, statement: DropTable) -> Result:
    if statement.view and len(statement.names) > 1:
        raise SqlError(20105, f"not supported: drop multiple ({len(statement.names)}) view")
    if len(statement.names) > 1 and not session.rules.drops_several_tables:
        count = len(statement.names)
        raise SqlError(20105, f"not supported: drop multiple ({count}) tables in one statement")
    for name in statement.names:
        drop_table(session, name, statement)
    return Result()


def drop_table(session: Workspace, name: Named, statement: DropTable) -> None:
    session.refuse_system(name.database, name.name)
    database = session.database_name(name.database)
    home = session.catalogue.database(session.context.account_id, database)
    version = None if home is None else session.catalogue.table(home, name.name)
    if version is None or (version.definition.view is not None) != statement.view:
        if statement.if_exists:
            return
        if statement.view:
            raise SqlError(1356, f"invalid view '{database}.{name.name}'")
        raise SqlError(1146, f"no such table {database}.{name.name}")
    if not statement.view:
        refuse_referenced(session, version, "drop", {n.name for n in statement.names})
    session.catalogue.end_table(version)
    if not statement.view:
        session.emit("drop_table", version, version.id, 0)


def refuse_referenced(session: Workspace, version: Version, verb: str, together: set[str]) -> None:
    if not session.foreign_key_checks:
        return
    for child, _ in session.catalogue.children(version):
        if child.name != version.name and child.name not in together:
            raise SqlError.internal(
                f"can not {verb} table '{version.name}' referenced by some foreign key constraint"
            )


def truncate(session: Workspace, statement: Truncate) -> Result:
    session.refuse_system(statement.name.database, statement.name.name)
    version = session.need_table(statement.name.database, statement.name.name)
    if version.definition.view is not None:
        raise SqlError(1146, f"no such table {version.database}.{version.name}")
    refuse_referenced(session, version, "truncate", set())
    refuse_own_key(session, version, "truncate")
    if session.rules.truncate_checks_parents:
        for key in version.definition.foreign_keys:
            refuse_keyless_parent(session, version, version.definition, key)
    definition, again = version.definition, session.rules.alter_forgets_own_keys
    keys = tuple(
        replace(key.copied(), listed=key.listed or again) for key in definition.foreign_keys
    )
    empty = replace(definition.with_new_indexes(sound=True), foreign_keys=keys)
    new = session.catalogue.rebuild(home_of(session, version), version, empty, copy=False)
    session.emit("truncate_table", new, version.id, new.id)
    return Result()


def rename_table(session: Workspace, version: Version, new: Named) -> Version:
    """Rename a table, which keeps its id; foreign keys that refer to it follow."""
    home = home_of(session, version)
    if version.definition.view is not None:
        raise SqlError.internal("you should use alter view statemnt for View")
    if new.database and new.database != home.name:
        raise unsupported(f"RENAME TABLE to another database {new.database}")
    if session.catalogue.table(home, new.name) is not None:
        raise SqlError(1050, f"table {new.name} already exists")
    children = session.catalogue.children(version)
    own = tuple(
        replace(key, parent_table=new.name)
        if (key.parent_database, key.parent_table) == (home.name, version.name)
        else key
        for key in version.definition.foreign_keys
    )
    definition = replace(version.definition, name=new.name, foreign_keys=own)
    found = session.catalogue.replace(home, version, definition)
    for child, _ in children:
        if child.version != version.version:
            session.catalogue.rename_parent(child, home, version.name, new.name)
    session.emit("rename_table", version, version.id, version.id)
    return found


# Indexes and views


def create_index(session: Workspace, statement: CreateIndex) -> Result:
    version = session.need_table(statement.table.database, statement.table.name)
    put_index(session, version, statement.key)
    return Result()


def put_index(session: Workspace, version: Version, key: KeySpec) -> Version:
    """Add a key in place; existing rows that violate it are refused."""
    import sqlite3

    definition = add_index(version.definition, key)
    if key.kind == "unique" and session.rules.added_key_shows_the_comment:
        definition = replace(definition, first_comment=None)
    try:
        return session.catalogue.replace(home_of(session, version), version, definition)
    except sqlite3.IntegrityError:
        keys = definition.indexes[-1].columns
        columns = ", ".join(keys)
        row = session.run(
            f"SELECT {columns} FROM {version.table} WHERE "
            + " AND ".join(f"{k} IS NOT NULL" for k in keys)
            + f" GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
        ).fetchone()
        shown = [
            entry_text(cell, definition.by_key(k).type) for cell, k in zip(row, keys, strict=True)
        ]
        entry = shown[0] if len(shown) == 1 else f"({','.join(shown)})"
        name = _name_in_errors(version.definition, session.rules)
        raise SqlError(1062, f"Duplicate entry '{entry}' for key '{name}'") from None


def _name_in_errors(definition: TableDef, rules: Rules) -> str:
    """The key that an error names where rows violate another one that is added."""
    unique = [index for index in definition.indexes if index.unique]
    if rules.added_key_takes_the_only_ones_name and len(unique) == 1:
        (key,) = unique
        return definition.by_key(key.columns[0]).lower if len(key.columns) == 1 else key.name
    return "__mo_index_idx_col"


def drop_index(session: Workspace, statement: DropIndex) -> Result:
    database = session.database_name(statement.table.database)
    version = session.need_table(database, statement.table.name)
    names = {index.name for index in version.definition.indexes}
    if fold(statement.name) in names:
        remove_index(session, version, statement.name)
    elif not statement.if_exists:
        raise SqlError.internal(f"not found index: {statement.name}")
    return Result()


def remove_index(
    session: Workspace, version: Version, name: str, *, quiet: bool = False
) -> Version:
    definition = version.definition
    refuse_needed_key(session, version, name)
    kept = tuple(index for index in definition.indexes if fold(index.name) != fold(name))
    if len(kept) == len(definition.indexes):
        if quiet:
            return version
        raise SqlError.internal(f"Can't DROP '{name}'; check that column/key exists")
    return session.catalogue.replace(
        home_of(session, version), version, replace(definition, indexes=kept)
    )


def _is_view(session: Workspace, name: Named) -> bool:
    account, database = session.context.account_id, session.database_name(name.database)
    home = session.catalogue.database(account, database)
    found = None if home is None else session.catalogue.table(home, name.name)
    return found is not None and found.definition.view is not None


def create_view(session: Workspace, statement: CreateView) -> Result:
    if statement.altering and not _is_view(session, statement.name):
        if statement.if_exists:
            return Result()
        database = session.database_name(statement.name.database)
        raise SqlError(1356, f"invalid view '{database}.{statement.name.name}'")
    home = session.new_home(statement.name.database)
    old = session.catalogue.table(home, statement.name.name)
    if old is not None:
        if statement.if_not_exists:
            return Result()
        if statement.or_replace and old.definition.view is None:
            raise unsupported(session.statement_text)
        if not statement.or_replace:
            raise SqlError(1050, f"table {statement.name.name} already exists")
    compiler = Compiler(statement.select, session, session.context.database)
    found = tokens(statement.select)
    query = compiler.query(session.parse(statement.select, found))
    # 3.x reads a view's own column names and forgets them.
    named = statement.columns if session.rules.view_column_names else []
    labels = named or query.labels
    if len(labels) != len(query.labels):
        raise SqlError(
            1353,
            "In definition of view, derived table or common table expression, SELECT list and "
            "column names list have different column counts",
        )
    taken: set[str] = set()
    for label in labels:
        if fold(label) in taken:
            raise SqlError(3819, f'constraint violation: duplicate column "{fold(label)}"')
        taken.add(fold(label))
    columns = tuple(
        ColumnDef(label, f"c{number}", kind)
        for number, (label, kind) in enumerate(zip(labels, query.types, strict=True), 1)
    )
    definition = TableDef(
        statement.name.name,
        columns,
        view=statement.select,
        view_database=session.context.database or home.name,
    )
    if old is not None:
        session.catalogue.end_table(old)
    session.catalogue.add_table(home, definition, source=_created(statement.statement))
    return Result()


def _created(text: str) -> str:
    """Turn an ALTER VIEW into the CREATE VIEW that is stored for it."""
    found = re.match(r"alter\b", text, re.IGNORECASE)
    if found is None:
        return text
    return ("CREATE" if found.group().isupper() else "create") + text[found.end() :]
