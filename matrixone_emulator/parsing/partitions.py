"""PARTITION BY of CREATE TABLE, and the partitions that ALTER TABLE names.

==============  ====================================================================================
what is read    ``[LINEAR] HASH (column)``, ``[LINEAR] KEY [ALGORITHM = n] (columns)``,
                ``RANGE [COLUMNS] (column)``, ``LIST [COLUMNS] (column)``, then ``PARTITIONS n``, or
                ``(PARTITION name VALUES LESS THAN (...) | VALUES IN (...), ...)``
what is not     expressions, subpartitions, LIST of several columns, NULL: 1235
==============  ====================================================================================
"""

from __future__ import annotations

from ..names import fold
from .ddl_reader import Reader
from .ddl_statements import Bound, ListedPartition, PartitionSpec


class PartitionReader(Reader):
    """Read a definition of partitions."""

    def partition_by(self) -> PartitionSpec:
        self.expect("PARTITION", "BY")
        head = "linear " if self.accept("LINEAR") else ""
        method = self.peek().upper
        if method not in ("HASH", "KEY") and (head or method not in ("RANGE", "LIST")):
            raise self.fail()
        self.at += 1
        head += method.lower()
        if method == "KEY":
            algorithm = 2
            if self.accept("ALGORITHM"):
                self.accept("=")
                algorithm = self.number()
            head += f" algorithm = {algorithm}"
        elif method in ("RANGE", "LIST") and self.accept("COLUMNS"):
            head += " columns"
        columns = self.partition_columns()
        quoted = ", ".join("`" + name.replace("`", "``") + "`" for name in columns)
        result = PartitionSpec(method, columns, f"{head} ({quoted})")
        if self.accept("PARTITIONS"):
            result.count = self.number()
        if self.peek().upper == "SUBPARTITION":
            raise self.unsupported()
        if self.accept("("):
            result.listed.append(self.partition(method))
            while self.accept(","):
                result.listed.append(self.partition(method))
            self.expect(")")
        # Without a number, or a list, a DELETE makes the server panic.
        is_numbered = method in ("HASH", "KEY")
        if is_numbered == bool(result.listed) or is_numbered != bool(result.count):
            raise self.unsupported()
        if method == "LIST" and len(columns) > 1:
            raise self.unsupported()
        return result

    def partition_columns(self) -> list[str]:
        if self.peek().text != "(":
            raise self.fail()
        if self.peek(1).kind not in ("word", "quoted") or self.peek(2).text not in (",", ")"):
            raise self.unsupported()
        return self.names()

    def partition(self, method: str) -> ListedPartition:
        self.expect("PARTITION")
        name = fold(self.identifier())
        self.expect("VALUES")
        is_list = self.accept("IN")
        if is_list != (method == "LIST"):
            raise self.unsupported()  # the server panics
        if not is_list:
            self.expect("LESS", "THAN")
        is_last = not is_list and self.accept("MAXVALUE")
        values: list[Bound] = [None] if is_last else self.bounds()
        while self.peek().upper in ("COMMENT", "ENGINE"):
            self.at += 1
            self.accept("=")
            self.at += 1
        shown = ", ".join(_shown(value) for value in values)
        text = f"values {'in' if is_list else 'less than'} ({shown})"
        return ListedPartition(name, text, values)

    def bounds(self) -> list[Bound]:
        self.expect("(")
        found: list[Bound] = []
        while not found or self.accept(","):
            if self.accept("MAXVALUE"):
                found.append(None)
            elif self.peek().kind == "string":
                found.append(self.string())
            else:
                sign = -1 if self.accept("-") else 1
                if self.peek().kind != "number" or not self.peek().text.isdigit():
                    raise self.unsupported()
                found.append(sign * self.number())
        self.expect(")")
        return found

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


def _shown(value: Bound) -> str:
    if value is None:
        return "MAXVALUE"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
