"""The package's own tables in an account, in the database ``matrixone_pitr``.

Their rows are numbered, for people. If somebody drops the database, numbers begin again: what has
the number of a row has the time at which it was made, too, and both are compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from sqlalchemy import text
from sqlalchemy.engine import Connection

from .connections import query, roll_back
from .errors import PitrNotFoundError, PitrValidationError
from .moment import Moment
from .names import OWN_DATABASE, back_quoted, shorten


class Numbered(Protocol):
    """A row of the package's own, or what was told of one."""

    @property
    def id(self) -> int | None: ...

    @property
    def made(self) -> Moment | None: ...


Number: TypeAlias = "int | Numbered"
"""The number of a row, or what has it, which is compared by the time at which it was made."""


def number_of(given: object, what: str) -> int:
    """The number that is given.

    :param what: ``restore`` or ``hold``, for the message.
    :raises PitrValidationError: there is none.
    """
    number: Any = getattr(given, "id", given)
    if isinstance(number, bool) or not isinstance(number, int):
        raise PitrValidationError(
            f"id is the number of a {what}, or what {what}() returned, not {shorten(given)}"
        )
    return number


def check_same(given: object, there: Numbered, what: str) -> None:
    """Refuse what has the number of another row.

    :raises PitrNotFoundError: the row was made at another time than what is given.
    """
    made = getattr(given, "made", None)
    if isinstance(made, Moment) and made != there.made:
        raise PitrNotFoundError(
            f"{what} {there.id} of {made} is not there any more: {what} {there.id} in this account "
            f"was made at {there.made}. The database {OWN_DATABASE} was dropped since. Nothing was "
            "sent"
        )


@dataclass(frozen=True, slots=True)
class OwnTable:
    """A table of the package's own.

    :ivar columns: their names, with what CREATE TABLE says of them.
    """

    name: str
    columns: Mapping[str, str]

    @property
    def quoted(self) -> str:
        """Both names are this package's: no dialect is imported to quote them."""
        return f"`{OWN_DATABASE}`.`{self.name}`"

    def problem(self, connection: Connection) -> str | None:
        """Why a table of this name cannot be used; None where it is ours, or not there."""
        statement = text(
            "SELECT attname FROM mo_catalog.mo_columns WHERE account_id = current_account_id() "
            "AND att_database = :database AND att_relname = :name"
        )
        values = {"database": OWN_DATABASE, "name": self.name}
        there = {column for (column,) in query(connection, statement, values)}
        if not there or there >= self.columns.keys():
            return None
        missing = ", ".join(sorted(self.columns.keys() - there))
        return (
            f"{OWN_DATABASE}.{self.name} is somebody else's: it has not the columns {missing}. "
            "Rename it, since this package keeps its records there"
        )

    def make(self, connection: Connection) -> None:
        """Make the database and the table where they are not there, on an idle connection of ours.

        :raises PitrValidationError: a table of this name is somebody else's.
        """
        columns = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        for statement in (
            f"CREATE DATABASE IF NOT EXISTS {back_quoted(OWN_DATABASE)}",
            f"CREATE TABLE IF NOT EXISTS {self.quoted} ({columns})",
            "COMMIT",
        ):
            connection.exec_driver_sql(statement)
        problem = self.problem(connection)
        roll_back(connection)
        if problem is not None:
            raise PitrValidationError(f"{problem}. Nothing else was sent")
