"""ALTER TABLE, parsed into data (docs/server.md, What rebuilds a table)."""

from __future__ import annotations

from .columns import KEY_START, ColumnReader
from .ddl_statements import (
    Action,
    AlterTable,
    CheckSpec,
    KeySpec,
)
from .partitions import PartitionReader


class AlterReader(ColumnReader, PartitionReader):
    """Read the actions of one ALTER TABLE."""

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
        if self.partition_action():
            return Action("partition")
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
            return Action("charset", text="FORCE")
        if self.peek().upper in ("DEFAULT", "CHARSET", "CHARACTER", "COLLATE"):
            return self.charset_action()
        if self.peek().upper in ("ALGORITHM", "LOCK", "ORDER", "REORGANIZE"):
            raise self.unsupported()
        raise self.fail()

    def charset_action(self) -> Action:
        """Read a character set or collation, which has no effect."""
        name = ""
        while True:
            self.accept("DEFAULT")
            if self.accept("CHARACTER"):
                self.expect("SET")
            elif not (self.accept("CHARSET") or self.accept("COLLATE")):
                return Action("charset", text=name)
            self.accept("=")
            found = self.identifier()
            name = name or found

    def position(self) -> str | None:
        if self.accept("FIRST"):
            return ""
        return self.identifier() if self.accept("AFTER") else None

    def add_action(self) -> Action:
        token = self.peek()
        if token.kind == "word" and token.upper in KEY_START:
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
        return Action("drop", self.identifier())

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
