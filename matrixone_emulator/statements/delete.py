"""DELETE."""

from __future__ import annotations

import sqlite3

from sqlglot import exp

from ..compiler.scope import Scope
from ..errors import SqlError
from ..names import fold
from ..types.definition import Version
from .constraints import constraint_error
from .row_writer import RowWriter, WriteResult


class Deleter(RowWriter):
    """Delete the rows of one DELETE."""

    def delete(self, tree: exp.Delete) -> WriteResult:
        scope = Scope()
        table = tree.this
        targets = tree.args.get("tables") or []
        using = tree.args.get("using") or []
        if not targets:
            self.target(table)
        if using and not targets:
            targets = [table]
        from_sql = ""
        named = {fold(t.alias_or_name) for t in targets}
        for one in using or [table]:
            for part in (one, *(join.this for join in one.args.get("joins") or [])):
                if isinstance(part, exp.Table) and fold(part.alias_or_name) in named:
                    self.target(part)
        for one in using or [table]:
            from_sql += f"{', ' if from_sql else ''}{self.compiler.add_table(one, scope)}"
            for join in one.args.get("joins") or []:
                from_sql += self.compiler.join(join, scope)
        self.forbid_reading(scope)
        tail = self.tail(tree, scope)
        if self.truncates(tree, scope):
            version = self.session.need_table(scope.sources[0].database, scope.sources[0].name)
            if version.definition.view is None and not self.session.catalogue.children(version):
                return self.truncate(version)
        wanted = [fold(t.alias_or_name) for t in targets] or [fold(scope.sources[0].alias)]
        sources = [source for source in scope.sources if fold(source.alias) in wanted]
        if len(sources) != len(wanted):
            raise SqlError(1146, f"no such table {self.session.context.database}.{wanted[0]}")
        rows = []
        for source in sources:
            version = self.session.need_table(source.database, source.name)
            if version.definition.view is not None:
                raise SqlError(20301, "invalid input: cannot insert/update/delete from view")
            found = self.session.run(
                f"SELECT DISTINCT {source.sql}.rowid FROM {from_sql}{tail}"
                if len(scope.sources) > 1
                else f"SELECT {source.sql}.rowid FROM {from_sql}{tail}",
                self.compiler.parameters,
            ).fetchall()
            rows.append((version, self.reached(version, version.definition.indexes, found)))
        changed = WriteResult()
        for version, found in rows:
            try:
                for rowid in found:
                    self.session.run(f"DELETE FROM {version.table} WHERE rowid = ?", rowid)
            except sqlite3.IntegrityError as error:
                raise constraint_error(error, version, [], self.session.rules) from None
            changed.affected += len(found)
        changed.affected += self.session.take_cascaded()
        return changed

    def truncates(self, tree: exp.Delete, scope: Scope) -> bool:
        """DELETE without WHERE is a TRUNCATE that keeps the generated keys.

        docs/server.md, What detaches a policy.
        """
        plain = len(scope.sources) == 1 and all(
            tree.args.get(key) is None for key in ("where", "limit")
        )
        with_alias = self.session.rules.delete_with_alias_truncates
        return plain and (not tree.args.get("tables") or with_alias)

    def truncate(self, version: Version) -> WriteResult:
        session = self.session
        count = int(session.run(f"SELECT count(*) FROM {version.table}").fetchone()[0])
        auto = version.definition.auto_column
        if auto is not None and version.physical not in session.store.counters and count:
            top = session.run(f"SELECT max({auto.key}) FROM {version.table}").fetchone()[0]
            session.store.counters[version.physical] = int(top or 0) + 1
        home = session.need_database(version.database)
        empty = version.definition.with_new_indexes(sound=True)
        new = session.catalogue.rebuild(home, version, empty, copy=False)
        if version.physical in session.store.counters:
            session.store.counters[new.physical] = session.store.counters[version.physical]
        session.emit("truncate_table", new, version.id, new.id)
        return WriteResult(count)
