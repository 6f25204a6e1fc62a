"""``op.create_pitr`` and its siblings: what they take, what undoes them, what they are as a diff.

Each carries literals only, and knows its reverse from its own fields. What they do is in
``toimpl.py``; the text of a migration that calls them in ``render.py``.

A *name* is a policy's: where it was renewed, the newest generation is meant, found when the
statement is sent. In ``--sql`` scripts it is taken as it stands. None is the name that a naming
convention makes of the target and the database that is migrated, as it does for a policy that is
declared without a name. The operation carries the convention (``naming=``; the default one is left
out): what a migration means does not depend on today's models.
"""

from __future__ import annotations

from typing import Any, Self

from alembic.operations import Operations
from alembic.operations.ops import MigrateOperation

from sqlalchemy_matrixone_pitr.ddl import resolve_database
from sqlalchemy_matrixone_pitr.declarations import DEFAULT_NAMING, conventional_name
from sqlalchemy_matrixone_pitr.errors import PitrValidationError
from sqlalchemy_matrixone_pitr.generations import (
    check_declared_name,
    generation_name,
    split_generation,
)
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel, PitrRange, to_level
from sqlalchemy_matrixone_pitr.names import (
    check_database_name,
    check_existing_pitr_name,
    check_pitr_name,
    check_target_name,
    fit_pitr_name,
    fold,
    shorten,
)

from .offline import default_database

_ANY_RANGE = "1d"
"""Stands for the range of a policy of which only the target is told."""


def level_of(
    what: str,
    level: str | None,
    account: str | None,
    database: str | None,
    table: str | None,
    *,
    prefix: str = "",
) -> PitrLevel:
    """The level of a policy, told by its target; the current account is never a silent default.

    :param what: the operation, for messages.
    :param prefix: of its parameters.
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
            f"{what} needs a target: {prefix}table=, {prefix}database= or {prefix}account=, or "
            f"{prefix}level='account' for the current account, {prefix}level='database' for the "
            f"connection's database, {prefix}level='cluster'"
        )
    if given is not None and told is not None and given is not told:
        raise PitrValidationError(
            f"{what} at level '{given}' does not fit its target, a {told}: leave {prefix}level out"
        )
    chosen = given or told
    assert chosen is not None
    return chosen


def _existing_arguments(pitr: Pitr) -> dict[str, Any]:
    """The ``existing_*`` that tell of a policy."""
    return {
        "existing_range": str(pitr.range),
        "existing_level": pitr.level.value,
        "existing_account": pitr.account_name,
        "existing_database": pitr.database_name,
        "existing_table": pitr.table_name,
    }


def _existing(
    what: str,
    name: str,
    range: PitrRange | str,
    level: str | None,
    account: str | None,
    database: str | None,
    table: str | None,
) -> Pitr:
    """The policy that ``existing_*`` of an operation tell of.

    :param what: the operation, for messages.
    """
    return Pitr(
        name,
        level_of(what, level, account, database, table, prefix="existing_"),
        range,
        account_name=account,
        database_name=database,
        table_name=table,
    )


def convention_name(
    operations: Operations,
    what: str,
    level: PitrLevel,
    database: str | None,
    table: str | None,
    naming: str | None,
) -> str:
    """The name that a naming convention makes of a target, in the database that is migrated.

    :param naming: the convention; None is the default one.
    :raises PitrValidationError: there is none for the cluster or an account; or no database; or a
        name that no object has.
    """
    context = operations.migration_context
    if database is not None:
        check_database_name(database)
    if table is not None:
        check_target_name(table, "table name")
    if level in (PitrLevel.CLUSTER, PitrLevel.ACCOUNT):
        raise PitrValidationError(
            f"{what} needs a name at level '{level}': the naming convention has one for tables and "
            "databases only"
        )
    if not context.as_sql:
        connection = operations.get_bind()
        database = resolve_database(connection, database, connection.get_execution_options())
    elif database is None:
        database = default_database(context, f"of table {table}" if table else "of the database")
    return conventional_name(naming or DEFAULT_NAMING, fold(database), table, source=what)


class PitrOp(MigrateOperation):
    """Common base of the operations.

    :ivar naming: the naming convention that has made the name, which a migration then leaves out.
    """

    name: str
    naming: str | None = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    def named_by(self, naming: str | None) -> Self:
        """The operation, with :attr:`naming` set."""
        if naming is not None:
            self.naming = naming
        return self


class CreatePitrOp(PitrOp):
    """``op.create_pitr``.

    >>> create = CreatePitrOp("orders_week", "7d", table="orders")
    >>> create.pitr, create.reverse()
    (Pitr('orders_week', 'table', '7d', table_name='orders'), DropPitrOp('orders_week'))
    """

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
            level_of("create_pitr", level, account, database, table),
            range,
            account_name=account,
            database_name=database,
            table_name=table,
        )
        self.name = self.pitr.name
        self.if_not_exists = if_not_exists

    @classmethod
    def from_pitr(cls, pitr: Pitr, naming: str | None = None) -> Self:
        """The operation that creates a policy."""
        made = cls(
            pitr.name,
            str(pitr.range),
            level=pitr.level.value,
            account=pitr.account_name,
            database=pitr.database_name,
            table=pitr.table_name,
        )
        return made.named_by(naming)

    @classmethod
    def create_pitr(
        cls,
        operations: Operations,
        name: str | None,
        range: str,
        *,
        level: str | None = None,
        account: str | None = None,
        database: str | None = None,
        table: str | None = None,
        if_not_exists: bool = False,
        naming: str | None = None,
    ) -> None:
        """Create a PITR policy when the migration's transaction commits.

        :param name: unique in the account; None leaves it to a naming convention.
        :param naming: that convention; without it ``pitr_%(object_name)s``.
        :param range: ``"7d"``: 1 to 100 of h, d, mo, y.
        :param level: told by the target, or ``"account"``, ``"database"``, ``"cluster"``.
        :param account: another account (sys only).
        :param database: None is the connection's default database.
        :param table: in that database.
        :param if_not_exists: leave one of that name as it is; the server compares names only. One
            that no longer protects the same object is renewed all the same.
        """
        if name is None:
            target = level_of("create_pitr", level, account, database, table)
            name = convention_name(operations, "create_pitr", target, database, table, naming)
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
        return DropPitrOp.from_pitr(self.pitr, self.naming)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "add_pitr", self.pitr


class AlterPitrOp(PitrOp):
    """``op.alter_pitr``.

    >>> AlterPitrOp("orders_week", "14d", existing_range="7d").reverse().to_diff_tuple()
    ('modify_pitr_range', 'orders_week', '14d', '7d')
    """

    def __init__(
        self,
        name: str,
        range: str,
        *,
        existing_range: str | None = None,
        existing_level: str | None = None,
        existing_account: str | None = None,
        existing_database: str | None = None,
        existing_table: str | None = None,
    ) -> None:
        self.name = check_pitr_name(name)
        self.range = PitrRange.of(range)
        self.existing_range = None if existing_range is None else PitrRange.of(existing_range)
        target = existing_level, existing_account, existing_database, existing_table
        self.existing: Pitr | None = None
        if any(part is not None for part in target):
            before = self.existing_range or self.range
            self.existing = _existing("alter_pitr", self.name, before, *target)

    @classmethod
    def from_pitr(cls, pitr: Pitr, range: PitrRange, naming: str | None = None) -> Self:
        """The operation that gives a policy a range.

        :param pitr: as it is before.
        """
        made = cls(
            pitr.name,
            str(range),
            **_existing_arguments(pitr),
        )
        return made.named_by(naming)

    @classmethod
    def alter_pitr(
        cls,
        operations: Operations,
        name: str | None,
        range: str,
        *,
        existing_range: str | None = None,
        existing_level: str | None = None,
        existing_account: str | None = None,
        existing_database: str | None = None,
        existing_table: str | None = None,
        naming: str | None = None,
    ) -> None:
        """Change a policy's range when the migration's transaction commits.

        One that is not there, since an earlier revision failed to create it, is created where its
        target is given; else it is a warning.

        :param name: None leaves it to a naming convention.
        :param naming: that convention; without it ``pitr_%(object_name)s``.
        :param existing_range: what it is before, so that the operation can be reversed.
        :param existing_table: with the other ``existing_*`` the policy's target.
        """
        if name is None:
            target = existing_level, existing_account, existing_database, existing_table
            level = level_of("alter_pitr", *target, prefix="existing_")
            name = convention_name(
                operations, "alter_pitr", level, existing_database, existing_table, naming
            )
        operations.invoke(
            cls(
                name,
                range,
                existing_range=existing_range,
                existing_level=existing_level,
                existing_account=existing_account,
                existing_database=existing_database,
                existing_table=existing_table,
            )
        )

    def reverse(self) -> AlterPitrOp:
        if self.existing_range is None:
            raise PitrValidationError(
                f"alter_pitr({self.name!r}) cannot be reversed: its existing_range= is not given",
                name=self.name,
            )
        if self.existing is None:
            return AlterPitrOp(self.name, str(self.existing_range), existing_range=str(self.range))
        before = self.existing.with_range(self.range)
        return AlterPitrOp.from_pitr(before, self.existing_range, self.naming)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "modify_pitr_range", self.name, str(self.existing_range), str(self.range)


class DropPitrOp(PitrOp):
    """``op.drop_pitr``.

    Somebody else's policy may have a name that ``create_pitr`` does not take; undone, it comes back
    with ``_`` for what its name cannot have.

    >>> drop = DropPitrOp("orders_week", existing_range="7d", existing_table="orders")
    >>> drop.reverse().pitr
    Pitr('orders_week', 'table', '7d', table_name='orders')

    :ivar existing: the policy before, where all of it is told.
    :ivar target: what it is for, where that is told: another one of its name is somebody else's.
    :ivar gone: whether the policy's object was not there any more: undone, the policy is renewed,
        if the object is there again.
    """

    gone: bool = False

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
        self.name = check_existing_pitr_name(name)
        self.if_exists = if_exists
        self.existing: Pitr | None = None
        self.target: Pitr | None = None
        target = existing_level, existing_account, existing_database, existing_table
        if existing_range is not None or any(part is not None for part in target):
            comes_back_as = fit_pitr_name(self.name)
            before = existing_range or _ANY_RANGE
            found = _existing("drop_pitr", comes_back_as, before, *target)
            self.target = found.of_policy(self.name)
        if existing_range is not None:
            self.existing = self.target

    @classmethod
    def from_pitr(cls, pitr: Pitr, naming: str | None = None) -> Self:
        """The operation that drops a policy, and can bring it back."""
        made = cls(
            pitr.name,
            **_existing_arguments(pitr),
        )
        return made.named_by(naming)

    @classmethod
    def drop_pitr(
        cls,
        operations: Operations,
        name: str | None,
        *,
        if_exists: bool = False,
        existing_range: str | None = None,
        existing_level: str | None = None,
        existing_account: str | None = None,
        existing_database: str | None = None,
        existing_table: str | None = None,
        naming: str | None = None,
    ) -> None:
        """Drop a policy when the migration's transaction commits.

        Of a renewed one its newest generation goes; older ones stay as history. One that is not
        there is a warning.

        :param name: None leaves it to a naming convention.
        :param naming: that convention; without it ``pitr_%(object_name)s``.
        :param if_exists: no warning; and one that no longer protects its object stays as history.
        :param existing_range: with the other ``existing_*`` what it is before, so that the
            operation can be reversed.
        :param existing_table: with the other ``existing_*`` the policy's target: one of that name
            for something else is left as it is.
        """
        if name is None:
            target = existing_level, existing_account, existing_database, existing_table
            level = level_of("drop_pitr", *target, prefix="existing_")
            name = convention_name(
                operations, "drop_pitr", level, existing_database, existing_table, naming
            )
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

    def reverse(self) -> PitrOp:
        if self.existing is None:
            raise PitrValidationError(
                f"drop_pitr({self.name!r}) cannot be reversed: its existing_range= and target are "
                "not given",
                name=self.name,
            )
        if self.gone:
            return RenewPitrOp(
                self.name,
                range=str(self.existing.range),
                database=self.existing.database_name,
                table=self.existing.table_name,
                generation=2,
            ).named_by(self.naming)
        name, _ = split_generation(self.existing.name)  # a renewal whose line is gone
        return CreatePitrOp.from_pitr(self.existing.with_name(fit_pitr_name(name)), self.naming)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "remove_pitr", self.existing or self.name


class RenewPitrOp(PitrOp):
    """``op.renew_pitr``.

    >>> RenewPitrOp("orders_week", range="7d", table="orders", generation=2).pitr.name
    'orders_week__g2'
    """

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
        name: str | None,
        *,
        range: str,
        database: str | None = None,
        table: str | None = None,
        generation: int,
        naming: str | None = None,
    ) -> None:
        """Create a policy's next generation when the migration's transaction commits.

        For an object that was rebuilt, which ended its protection. Where the policy still protects
        its object, or was renewed meanwhile, it gets the range, where that differs. Where the
        server takes the old generation for active still, a warning says how to go on; where the
        object is not there, it says so.

        :param name: None leaves it to a naming convention.
        :param naming: that convention; without it ``pitr_%(object_name)s``.
        :param generation: its number in a ``--sql`` script; online the next free one is taken.
        """
        if name is None:
            level = PitrLevel.DATABASE if table is None else PitrLevel.TABLE
            name = convention_name(operations, "renew_pitr", level, database, table, naming)
        operations.invoke(
            cls(name, range=range, database=database, table=table, generation=generation)
        )

    def reverse(self) -> PitrOp:
        """Protection is not taken back: undoing a renewal is itself, which does nothing more."""
        same = RenewPitrOp(
            self.name,
            range=str(self.pitr.range),
            database=self.pitr.database_name,
            table=self.pitr.table_name,
            generation=self.generation,
        )
        return same.named_by(self.naming)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        return "renew_pitr", self.name, self.pitr


OPERATIONS: dict[str, type[PitrOp]] = {
    "create_pitr": CreatePitrOp,
    "alter_pitr": AlterPitrOp,
    "drop_pitr": DropPitrOp,
    "renew_pitr": RenewPitrOp,
}
"""The name of each operation under ``op``."""
