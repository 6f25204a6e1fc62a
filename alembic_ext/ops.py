"""``op.create_pitr`` and its siblings: what they take, what undoes them, what they are as a diff.

Each carries literals only, and knows its reverse from its own fields. What they do is in
``toimpl.py``; the text of a migration that calls them in ``render.py``.

A *name* is a policy's: where it was renewed, the newest generation is meant, found when the
statement is sent. In ``--sql`` scripts it is taken as it stands.
"""

from __future__ import annotations

from typing import Any, Self

from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation

from sqlalchemy_matrixone_pitr.errors import PitrValidationError
from sqlalchemy_matrixone_pitr.generations import check_declared_name, generation_name
from sqlalchemy_matrixone_pitr.model import (
    Pitr,
    PitrLevel,
    PitrRange,
    check_pitr_name,
    shorten,
    to_level,
)


def level_of(
    level: str | None, account: str | None, database: str | None, table: str | None
) -> PitrLevel:
    """The level of a policy, told by its target; the own account is never a silent default.

    :raises PitrValidationError: neither tells, or they contradict each other.
    """
    told = (
        PitrLevel.TABLE
        if table is not None
        else PitrLevel.DATABASE
        if database is not None
        else PitrLevel.ACCOUNT
        if account is not None
        else None
    )
    given = None if level is None else to_level(level)
    if given is None and told is None:
        raise PitrValidationError(
            "create_pitr needs a target: table=, database= or account=, or level='account' for the "
            "own account, level='database' for the connection's database, level='cluster'"
        )
    if given is not None and told is not None and given is not told:
        raise PitrValidationError(
            f"create_pitr at level '{given}' does not fit its target, a {told}: leave level out"
        )
    chosen = given or told
    assert chosen is not None
    return chosen


class PitrOp(MigrateOperation):
    """What the operations share."""

    name: str

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class CreatePitrOp(PitrOp):
    """``op.create_pitr``."""

    def __init__(
        self,
        name: str,
        range: str,
        *,
        level: str | None = None,
        account: str | None = None,
        database: str | None = None,
        table: str | None = None,
        if_not_exists: bool = False,
    ) -> None:
        self.pitr = Pitr(
            check_declared_name(name),
            level_of(level, account, database, table),
            range,
            account_name=account,
            database_name=database,
            table_name=table,
        )
        self.name = self.pitr.name
        self.if_not_exists = if_not_exists

    @classmethod
    def from_pitr(cls, pitr: Pitr) -> Self:
        """The operation that creates a policy."""
        return cls(
            pitr.name,
            str(pitr.range),
            level=pitr.level.value,
            account=pitr.account_name,
            database=pitr.database_name,
            table=pitr.table_name,
        )

    @classmethod
    def create_pitr(
        cls,
        operations: Operations,
        name: str,
        range: str,
        *,
        level: str | None = None,
        account: str | None = None,
        database: str | None = None,
        table: str | None = None,
        if_not_exists: bool = False,
    ) -> None:
        """Create a PITR policy when the migration's transaction commits.

        :param name: unique in the account.
        :param range: ``"7d"``: 1 to 100 of h, d, mo, y.
        :param level: told by the target, or ``"account"``, ``"database"``, ``"cluster"``.
        :param account: another account (sys only).
        :param database: None is the connection's default database.
        :param table: in that database.
        :param if_not_exists: leave one of that name as it is; the server compares names only. One
            that no longer protects the same object is renewed all the same.
        """
        operations.invoke(
            cls(
                name,
                range,
                level=level,
                account=account,
                database=database,
                table=table,
                if_not_exists=if_not_exists,
            )
        )

    def reverse(self) -> DropPitrOp:
        return DropPitrOp.from_pitr(self.pitr)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "add_pitr", self.pitr


class AlterPitrOp(PitrOp):
    """``op.alter_pitr``."""

    def __init__(self, name: str, range: str, *, existing_range: str | None = None) -> None:
        self.name = check_pitr_name(name)
        self.range = PitrRange.of(range)
        self.existing_range = None if existing_range is None else PitrRange.of(existing_range)

    @classmethod
    def alter_pitr(
        cls, operations: Operations, name: str, range: str, *, existing_range: str | None = None
    ) -> None:
        """Change a policy's range when the migration's transaction commits.

        One that is not there is a warning: an earlier revision may have failed to create it.

        :param existing_range: what it is before, so that the operation can be reversed.
        """
        operations.invoke(cls(name, range, existing_range=existing_range))

    def reverse(self) -> AlterPitrOp:
        if self.existing_range is None:
            raise PitrValidationError(
                f"alter_pitr({self.name!r}) cannot be reversed: its existing_range= is not given",
                name=self.name,
            )
        return AlterPitrOp(self.name, str(self.existing_range), existing_range=str(self.range))

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "modify_pitr_range", self.name, str(self.existing_range), str(self.range)


class DropPitrOp(PitrOp):
    """``op.drop_pitr``."""

    def __init__(
        self,
        name: str,
        *,
        if_exists: bool = False,
        existing_range: str | None = None,
        existing_level: str | None = None,
        existing_account: str | None = None,
        existing_database: str | None = None,
        existing_table: str | None = None,
    ) -> None:
        self.name = check_pitr_name(name)
        self.if_exists = if_exists
        self.existing: Pitr | None = None
        if existing_range is not None:
            self.existing = Pitr(
                self.name,
                level_of(existing_level, existing_account, existing_database, existing_table),
                existing_range,
                account_name=existing_account,
                database_name=existing_database,
                table_name=existing_table,
            )

    @classmethod
    def from_pitr(cls, pitr: Pitr) -> Self:
        """The operation that drops a policy, and can bring it back."""
        return cls(
            pitr.name,
            existing_range=str(pitr.range),
            existing_level=pitr.level.value,
            existing_account=pitr.account_name,
            existing_database=pitr.database_name,
            existing_table=pitr.table_name,
        )

    @classmethod
    def drop_pitr(
        cls,
        operations: Operations,
        name: str,
        *,
        if_exists: bool = False,
        existing_range: str | None = None,
        existing_level: str | None = None,
        existing_account: str | None = None,
        existing_database: str | None = None,
        existing_table: str | None = None,
    ) -> None:
        """Drop a policy when the migration's transaction commits.

        Of a renewed one its newest generation goes; older ones stay as history. One that is not
        there is a warning.

        :param if_exists: no warning; and one that no longer protects its object stays as history.
        :param existing_range: with the other ``existing_*`` what it is before, so that the
            operation can be reversed.
        """
        operations.invoke(
            cls(
                name,
                if_exists=if_exists,
                existing_range=existing_range,
                existing_level=existing_level,
                existing_account=existing_account,
                existing_database=existing_database,
                existing_table=existing_table,
            )
        )

    def reverse(self) -> CreatePitrOp:
        if self.existing is None:
            raise PitrValidationError(
                f"drop_pitr({self.name!r}) cannot be reversed: its existing_range= and target are "
                "not given",
                name=self.name,
            )
        return CreatePitrOp.from_pitr(self.existing)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "remove_pitr", self.existing or self.name


class RenewPitrOp(PitrOp):
    """``op.renew_pitr``."""

    def __init__(
        self,
        name: str,
        *,
        range: str,
        database: str | None = None,
        table: str | None = None,
        generation: int,
    ) -> None:
        self.name = check_declared_name(name)
        if type(generation) is not int or generation < 2:
            raise PitrValidationError(
                f"renew_pitr: generation={shorten(generation)} must be a number from 2 on",
                name=self.name,
            )
        self.generation = generation
        self.pitr = Pitr(
            generation_name(self.name, generation),
            PitrLevel.DATABASE if table is None else PitrLevel.TABLE,
            range,
            database_name=database,
            table_name=table,
        )

    @classmethod
    def renew_pitr(
        cls,
        operations: Operations,
        name: str,
        *,
        range: str,
        database: str | None = None,
        table: str | None = None,
        generation: int,
    ) -> None:
        """Create a policy's next generation when the migration's transaction commits.

        For an object that was rebuilt, which ended its protection. Where the policy still protects
        its object, or was renewed meanwhile, it gets the range, where that differs. Where the
        server takes the old generation for active still, a warning says how to go on.

        :param generation: its number in a ``--sql`` script; online the next free one is taken.
        """
        operations.invoke(
            cls(name, range=range, database=database, table=table, generation=generation)
        )

    def reverse(self) -> PitrOp:
        """Protection is not taken back: undoing a renewal is itself, which does nothing more."""
        return RenewPitrOp(
            self.name,
            range=str(self.pitr.range),
            database=self.pitr.database_name,
            table=self.pitr.table_name,
            generation=self.generation,
        )

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "renew_pitr", self.name, self.pitr


OPERATIONS: dict[str, type[PitrOp]] = {
    "create_pitr": CreatePitrOp,
    "alter_pitr": AlterPitrOp,
    "drop_pitr": DropPitrOp,
    "renew_pitr": RenewPitrOp,
}
"""The name of each operation under ``op``."""
