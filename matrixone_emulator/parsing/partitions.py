"""PARTITION BY of CREATE TABLE, and the partitions that ALTER TABLE names.

==============  ====================================================================================
what is read    ``[LINEAR] HASH (column)``, ``[LINEAR] KEY [ALGORITHM = n] (columns)``,
                ``RANGE [COLUMNS] (column)``, ``LIST [COLUMNS] (column)``, then ``PARTITIONS n``, or
                ``(PARTITION name [VALUES LESS THAN (...) | VALUES IN (...)], ...)``
what is not     expressions, subpartitions, LIST of several columns; where partitions are tables,
                all but HASH: 1235
==============  ====================================================================================
"""

from __future__ import annotations

from .ddl_reader import Reader
from .ddl_statements import PartitionSpec


class PartitionReader(Reader):
    """Read a definition of partitions."""

    def partition_by(self) -> PartitionSpec:
        self.expect("PARTITION", "BY")
        linear = self.accept("LINEAR")
        method = self.peek().upper
        if method not in ("HASH", "KEY") and (linear or method not in ("RANGE", "LIST")):
            raise self.fail()
        self.at += 1
        if method == "KEY" and self.accept("ALGORITHM"):
            self.accept("=")
            self.number()
        elif method in ("RANGE", "LIST"):
            self.accept("COLUMNS")
        result = PartitionSpec(method, self.partition_columns())
        if self.accept("PARTITIONS"):
            result.count = self.number()
        if self.peek().upper == "SUBPARTITION" or not result.count:
            raise self.unsupported()
        if self.accept("("):
            result.names.append(self.partition(method))
            while self.accept(","):
                result.names.append(self.partition(method))
            self.expect(")")
        by_number = method in ("HASH", "KEY")
        if by_number == bool(result.names) or (method == "LIST" and len(result.columns) > 1):
            raise self.unsupported()  # on 3.0.9 a DELETE panics without a list, or without a number
        if self.rules.partitions_are_tables and method != "HASH":
            raise self.unsupported()
        return result

    def partition_columns(self) -> list[str]:
        if self.peek().text != "(":
            raise self.fail()
        if self.peek(1).kind not in ("word", "quoted") or self.peek(2).text not in (",", ")"):
            raise self.unsupported()
        return self.names()

    def partition(self, method: str) -> str:
        """Read one partition; its values are read and forgotten.

        :return: its name.
        """
        self.expect("PARTITION")
        name = self.identifier()
        if self.accept("VALUES"):
            if (self.peek().upper == "IN") != (method == "LIST"):
                raise self.unsupported()  # the server panics
            if self.accept("IN") or (self.accept("LESS", "THAN") and self.peek().text == "("):
                self.balanced()
            else:
                self.expect("MAXVALUE")
        while self.peek().upper in ("COMMENT", "ENGINE"):
            self.at += 1
            self.accept("=")
            self.at += 1
        return name

    def partition_action(self) -> bool:
        """Read a clause of ALTER TABLE that changes partitions, if it is one."""
        if self.peek().upper == "PARTITION":
            self.partition_by()
            return True
        if self.peek(1).upper != "PARTITION" or self.peek().upper not in (
            "ADD",
            "DROP",
            "TRUNCATE",
        ):
            return False
        adds = self.accept("ADD")
        self.at += 1 if adds else 2
        if adds:
            self.expect("(")
            self.partition("LIST" if self.peek(3).upper == "IN" else "RANGE")
            self.expect(")")
            return True
        self.identifier()
        while self.accept(","):
            self.identifier()
        return True
