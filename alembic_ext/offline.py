"""``--sql``: PITR statements are held to the end of their revision, as online they follow COMMIT.

Scripts are for clients in autocommit. Nothing is asked of a server:

* The default database comes from ``pitr_options(database=)``, ``-x pitr_database=``, the URL that
  env.py gives to ``context.configure``, which may be another one than the file's, or
  ``sqlalchemy.url``.
* Of the policies that the script itself has made it knows the newest generation, and when an
  operation rebuilds their table; it renews them as an online run does. Of others the names are
  taken as they stand, and comments say so, and what a revision ends, or may end.
* What a revision drops or renames, it creates no policy for; where the server would refuse the
  next generation beside the old one, as 2.x does, a comment says what to do instead.
* MatrixOne 4.x takes another CREATE PITR for a table that was rebuilt: say that the script is for
  one with ``-x matrixone_version=4.2.0``. Without, a comment is before each one whose table the
  script has not just made.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
import re
import weakref
from configparser import InterpolationError
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from alembic.operations import Operations, ops
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.migration import MigrationContext
from sqlalchemy import URL, make_url
from sqlalchemy.engine import Connection
from sqlalchemy.exc import ArgumentError

from sqlalchemy_matrixone_pitr.connections import VERSION_OPTION
from sqlalchemy_matrixone_pitr.ddl import AlterPitr, CreatePitr, DropPitr, PitrDDLElement
from sqlalchemy_matrixone_pitr.declarations import Databases, Declaration, Schemas, declarations
from sqlalchemy_matrixone_pitr.errors import PitrValidationError
from sqlalchemy_matrixone_pitr.generations import (
    generation_name,
    split_generation,
    target_of,
    target_text,
)
from sqlalchemy_matrixone_pitr.model import Pitr, PitrLevel, PitrRange
from sqlalchemy_matrixone_pitr.names import fold, renew_command
from sqlalchemy_matrixone_pitr.printing import one_line
from sqlalchemy_matrixone_pitr.server import (
    SUPPORTED_DIALECTS,
    Version,
    parse_version,
    rules_of,
)

from .alters import WATCHED, Altered, Effect, altered, both, replaced_by_batch
from .watch import after_batches, before

Key: TypeAlias = tuple[str | None, str]

log = logging.getLogger("alembic.runtime.matrixone_pitr")

DATABASE: Final = "matrixone_pitr_database"
"""The option of ``context.configure`` that says the database of policies that name none."""


def watch_scripts() -> None:
    """Let scripts know which tables their revisions rebuild, and what URL they are for; for the
    process, once."""
    before(WATCHED, _note)
    after_batches(_note_batch)
    _watch_urls()


_urls: weakref.WeakKeyDictionary[MigrationContext, str | URL] = weakref.WeakKeyDictionary()
"""The URLs that contexts were configured with, of which Alembic keeps the dialect alone."""


def _watch_urls() -> None:
    original = MigrationContext.configure

    @functools.wraps(original)
    def configure(
        cls: type[MigrationContext],
        connection: Connection | None = None,
        url: str | URL | None = None,
        *args: Any,
        **kw: Any,
    ) -> MigrationContext:
        context = original(connection, url, *args, **kw)
        if url is not None:
            _urls[context] = url
        return context

    MigrationContext.configure = classmethod(configure)  # type: ignore[method-assign, assignment]


def _note(operations: Operations, operation: ops.MigrateOperation) -> None:
    context = operations.migration_context
    if context.as_sql and context.dialect.name in SUPPORTED_DIALECTS:
        _script(context).note(altered(operation, context.dialect))


def _note_batch(batch: BatchOperationsImpl) -> None:
    context = batch.operations.migration_context
    if context.as_sql and context.dialect.name in SUPPORTED_DIALECTS:
        _script(context).note(replaced_by_batch(batch))


def hold(context: MigrationContext, element: PitrDDLElement) -> None:
    """Keep a statement for the end of the revision that is being written."""
    _script(context).hold(element)


def end_revision(context: MigrationContext, metadata: Schemas | None) -> None:
    """Write what was held, and renew what the revision has rebuilt."""
    _script(context).end_revision(metadata)


_scripts: weakref.WeakKeyDictionary[MigrationContext, _Script] = weakref.WeakKeyDictionary()


def _script(context: MigrationContext) -> _Script:
    if context not in _scripts:
        _scripts[context] = _Script(context)
        context.on_version_apply_callbacks = (*context.on_version_apply_callbacks, _write_rest)
    return _scripts[context]


def _write_rest(*, ctx: MigrationContext, **kw: Any) -> None:
    """Write the rest for an env.py without ``pitr_options()``."""
    end_revision(ctx, None)


@dataclass
class _Made:
    """A policy that the script has made, or renewed.

    :ivar pitr: as declared, under the policy's name.
    :ivar numbers: its generations on the server, as far as the script knows.
    :ivar attached: whether the newest protects its object.
    :ivar stale: whether the server may take it for active although it is not attached.
    """

    pitr: Pitr
    numbers: list[int] = field(default_factory=list)
    attached: bool = False
    stale: bool = False

    @property
    def current(self) -> str:
        return generation_name(self.pitr.name, self.numbers[-1])

    def create(self) -> CreatePitr:
        """The next generation."""
        self.numbers.append(max(self.numbers, default=0) + 1)
        self.attached = True
        return CreatePitr(dataclasses.replace(self.pitr, name=self.current))


class _Script:
    """The text that one ``--sql`` run writes."""

    def __init__(self, context: MigrationContext) -> None:
        self._context = weakref.ref(context)
        self._made: dict[str, _Made] = {}
        self._held: list[PitrDDLElement] = []
        self._as_they_stand: set[PitrDDLElement] = set()
        self._notes: list[str] = []
        self._effects: dict[Key, Effect] = {}
        self._new_tables: set[Key] = set()
        self._dropped: set[Key] = set()
        self._stale: set[Key] = set()
        self._fresh: set[str] = set()
        self._asked: set[str] = set()
        self._of_renewals: set[PitrDDLElement] = set()
        self._optional: list[tuple[DropPitr, _Made, int]] = []
        self._warned = False

    @property
    def context(self) -> MigrationContext:
        context = self._context()
        assert context is not None
        return context

    # -- within a revision

    def note(self, what: list[Altered]) -> None:
        for schema, table, effect in what:
            database = fold(schema) if schema else _default_database(self.context)
            if table is not None:
                keys = {(database, fold(table))}
            else:
                keys = self._keys_in(database) if effect is Effect.DROPS else {(database, "")}
            for key in keys:
                self._effects[key] = both(self._effects.get(key), effect)
                self._new_tables.discard(key)
                if effect is Effect.MAKES:
                    self._new_tables.add(key)
                elif effect is Effect.DROPS:
                    self._dropped.add(key)  # which detaches its policy, whatever comes then
                elif key not in self._dropped and self._stays_active(effect):
                    self._stale.add(key)

    def _stays_active(self, effect: Effect) -> bool:
        """Whether the server may take a table's policy for active after this."""
        version = _version(self.context)
        if version is None:
            return False
        rules = rules_of(version)
        if effect is Effect.TRUNCATES:
            return rules.truncated_stays_active
        return effect in (Effect.REBUILDS, Effect.MAY_REBUILD) and rules.rebuilt_stays_active

    def _keys_in(self, database: str | None) -> set[Key]:
        """A database, and the tables in it that this script knows."""
        known = {*map(_key, (made.pitr for made in self._made.values())), *self._effects}
        return {(database, ""), *(key for key in known if key[0] == database)}

    def hold(self, element: PitrDDLElement) -> None:
        if isinstance(element, CreatePitr):
            self._hold_create(element)
        elif isinstance(element, AlterPitr) and element.name in self._made:
            self._hold_alter(self._made[element.name], element.range)
        elif isinstance(element, DropPitr) and element.name in self._made:
            self._hold_drop(element)
        else:
            self._as_they_stand.add(element)
            self._held.append(element)

    def _hold_alter(self, made: _Made, range: PitrRange) -> None:
        """Give a policy a range; after a renewal it is for the next generation, if there is one."""
        made.pitr = made.pitr.with_range(range)
        alter = AlterPitr(made.current, range)
        self._held.append(alter)
        if made.pitr.name in self._asked:
            self._of_renewals.add(alter)

    def _hold_create(self, element: CreatePitr) -> None:
        pitr = self._with_database(element.pitr)
        name, number = split_generation(pitr.name)
        made = self._made.get(name)
        if made is None or target_of(made.pitr) != target_of(pitr):
            if number > 1 and pitr.table_name is not None and self._stays_active(Effect.REBUILDS):
                self._say_stale(pitr.with_name(name), "may take")
                return
            made = self._made[name] = _Made(dataclasses.replace(pitr, name=name), [number], True)
            self._held.append(CreatePitr(pitr, element.if_not_exists))
        elif made.attached:
            self._asked.add(name)  # what the revision rebuilds, it may say before or afterwards
            if number == 1:
                self._held.append(CreatePitr(pitr, element.if_not_exists))
            elif made.pitr.range != pitr.range:
                self._hold_alter(made, pitr.range)
            return
        elif made.stale:
            self._say_stale(made.pitr)
            return
        else:
            made.pitr = made.pitr.with_range(pitr.range)
            self._held.append(made.create())
        self._fresh.add(name)

    def _hold_drop(self, element: DropPitr) -> None:
        """Leave out a creation of this revision that is dropped again, as online."""
        made = self._made[element.name]
        name, if_exists = made.current, element.if_exists
        if element.name in self._fresh:
            self._held = [held for held in self._held if held.pitr_name != name]
            self._fresh.discard(element.name)
            if_exists = True
        number = made.numbers.pop()
        made.attached = made.stale = False
        if not made.numbers:
            del self._made[element.name]
        drop = DropPitr(name, if_exists)
        self._held.append(drop)
        if element.if_exists:
            self._optional.append((drop, made, number))

    def _with_database(self, pitr: Pitr) -> Pitr:
        """With the database that online would be the connection's."""
        in_database = pitr.level in (PitrLevel.DATABASE, PitrLevel.TABLE)
        if pitr.database_name is not None or not in_database:
            return pitr
        return dataclasses.replace(pitr, database_name=default_database(self.context, pitr.name))

    # -- at its end

    def end_revision(self, metadata: Schemas | None) -> None:
        declared = self._declared(metadata)
        for element in list(self._held):
            if isinstance(element, CreatePitr) and self._is_gone(element.pitr):
                self._do_not_create(element)
        for drop, made, number in self._optional:
            if self._effects.get(_key(made.pitr), Effect.MAY_MAKE) >= Effect.REBUILDS:
                self._held.remove(drop)  # it is history by then, which IF EXISTS leaves
                made.numbers.append(number)
                self._made[made.pitr.name] = made
        for name, made in sorted(self._made.items()):
            effect = self._effects.get(_key(made.pitr), Effect.MAY_MAKE)
            if effect > Effect.MAKES and made.attached and name not in self._fresh:
                self._ended(made, effect, declared.get(name))
        for name, declaration in sorted(declared.items()):
            pitr = declaration.pitr
            effect = self._effects.get(_key(pitr), Effect.MAY_MAKE)
            if name not in self._made and Effect.MAKES < effect < Effect.RENAMES:
                self._say(pitr, effect)
            elif name not in self._made and effect is Effect.RENAMES:
                self._say_renamed(pitr)
        output = self.context.impl.static_output
        for element in self._held:
            for line in self._written(element):
                output(line)
        for line in self._notes:
            output(line)
        self._held, self._notes, self._as_they_stand = [], [], set()
        self._effects, self._fresh, self._asked, self._optional = {}, set(), set(), []
        self._dropped, self._stale, self._of_renewals = set(), set(), set()

    def _is_gone(self, pitr: Pitr) -> bool:
        """Whether its object is not there any more when the revision ends."""
        return self._effects.get(_key(pitr)) in (Effect.DROPS, Effect.RENAMES)

    def _do_not_create(self, element: CreatePitr) -> None:
        """Nor what the revision does with it then, as online."""
        name = split_generation(element.name)[0]
        self._held = [held for held in self._held if held.pitr_name != element.name]
        if name in self._fresh:
            self._fresh.discard(name)
            made = self._made[name]
            made.numbers.pop()
            made.attached = False
            if not made.numbers:
                del self._made[name]
        note = (
            f"PITR {element.name} is not created: {target_text(element.pitr)} is not there any "
            "more, dropped or renamed by this revision"
        )
        self._notes.append(f"-- {note}")
        log.warning("%s", note)

    def _ended(self, made: _Made, effect: Effect, declaration: Declaration | None) -> None:
        name = made.pitr.name
        made.stale = made.stale or _key(made.pitr) in self._stale
        renew = declaration is not None and declaration.on_rebuild == "renew"
        if effect in (Effect.RENAMES, Effect.DROPS):
            made.attached = False
            if effect is Effect.RENAMES:
                self._say_renamed(made.pitr)
        elif made.stale and effect is Effect.REBUILDS:
            made.attached = False
            self._say_stale(made.pitr)
        elif name in self._asked or (renew and effect is Effect.REBUILDS):
            # the new one has the new range already
            of_renewal = self._of_renewals if name in self._asked else self._held
            self._held = [
                held
                for held in self._held
                if held not in of_renewal or not _alters(held, made.current)
            ]
            self._held.append(made.create())
        else:
            made.attached = effect is not Effect.REBUILDS
            self._say(made.pitr, effect)

    def _say(self, pitr: Pitr, effect: Effect) -> None:
        ends = "ends" if effect is Effect.REBUILDS else "may end"
        self._notes.append(
            f"-- This revision {ends} the protection of {target_text(pitr)} by {pitr.name}; "
            f"afterwards: {renew_command(pitr.name)}"
        )

    def _say_renamed(self, pitr: Pitr) -> None:
        """As online; not of a policy that the revision drops."""
        drops = (held.name for held in self._held if isinstance(held, DropPitr))
        if all(split_generation(name)[0] != pitr.name for name in drops):
            self._notes.append(
                f"-- This revision renames {target_text(pitr)}, and its policy {pitr.name} stays "
                "with the old name: it keeps what was before, and protects nothing new. Create a "
                "policy of another name; under the same name the old one has to be dropped first, "
                "with what it keeps"
            )

    def _say_stale(self, pitr: Pitr, takes: str = "takes") -> None:
        how = renew_command(pitr.name, drop_history=takes == "takes")
        self._notes.append(
            f"-- PITR {pitr.name} is not renewed, and does not protect {target_text(pitr)} any "
            f"more: this version of MatrixOne {takes} it for active still, and refuses another one "
            f"beside it; afterwards: {how}"
        )

    def _declared(self, metadata: Schemas | None) -> dict[str, Declaration]:
        database = _default_database(self.context)
        if metadata is None or database is None or not self._effects:
            return {}
        found = declarations(metadata, Databases(None, database))
        return {
            declaration.pitr.name: declaration
            for declaration in found
            if declaration.pitr.level is PitrLevel.TABLE
        }

    def _written(self, element: PitrDDLElement) -> list[str]:
        lines = []
        if isinstance(element, CreatePitr) and element.pitr.level is PitrLevel.TABLE:
            version = _version(self.context)
            if version is not None and rules_of(version).logical_ids:
                element = element.as_internal()
            elif version is None and _key(element.pitr) not in self._new_tables:
                self._warn_of_version()
                lines.append(
                    f"-- For MatrixOne 4.x write this script with -x {VERSION_OPTION}=4.2.0: if "
                    "the table was rebuilt before, the next line protects nothing there"
                )
                name, number = split_generation(element.name)
                if number > 1 and _key(element.pitr) not in self._dropped:
                    lines.append(
                        f"-- MatrixOne 2.x takes PITR {name} of a rebuilt table for active still, "
                        "and refuses the next line; there, instead of it: "
                        f"{renew_command(name, drop_history=True)}"
                    )
        elif element in self._as_they_stand:
            lines.append(
                f"-- If {one_line(str(element.pitr_name))} was renewed, the next line needs the "
                "name of its newest PITR: see mo-pitr show"
            )
        return [*lines, f"{element}{self.context.impl.command_terminator}\n"]

    def _warn_of_version(self) -> None:
        """To whoever runs Alembic: the comments may be in a file that nobody reads."""
        if not self._warned:
            self._warned = True
            log.warning(
                "this script creates policies of tables that it has not just made: if it is for "
                "MatrixOne 4.x, write it with -x %s=4.2.0",
                VERSION_OPTION,
            )


def _key(pitr: Pitr) -> Key:
    return pitr.database_name, pitr.table_name or ""


def _alters(element: PitrDDLElement, name: str) -> bool:
    return isinstance(element, AlterPitr) and element.name == name


def _asked_for(context: MigrationContext, name: str) -> str | None:
    """An ``-x`` argument."""
    environment = context.environment_context
    if environment is None:
        return None
    asked = environment.get_x_argument(as_dictionary=True).get(name)
    return asked if isinstance(asked, str) and asked else None


def _version(context: MigrationContext) -> Version | None:
    """The server's version that the script is for.

    :raises PitrValidationError: it is not one.
    """
    text = _asked_for(context, VERSION_OPTION)
    if text is None:
        return None
    if re.fullmatch(r"\d+\.\d+(\.\d+)?", text) is None:
        raise PitrValidationError(
            f"-x {VERSION_OPTION}={text} is not understood: write the version as 4.2.0"
        )
    return parse_version(f"MatrixOne-v{text}")


def _default_database(context: MigrationContext) -> str | None:
    asked = context.opts.get(DATABASE) or _asked_for(context, "pitr_database")
    if asked is not None:
        return fold(asked)
    environment = context.environment_context
    if context in _urls:
        database = _database_of(_urls[context])
        if database is not None:
            return database
    if environment is None:
        return None
    try:
        return _database_of(environment.config.get_main_option("sqlalchemy.url") or "")
    except InterpolationError:
        return None


def _database_of(url: str | URL) -> str | None:
    """The database of a URL; None where it names none, or is not one of MatrixOne's dialects, as
    alembic init's driver:// is not."""
    try:
        found = make_url(url)
    except ArgumentError:
        return None
    if found.get_backend_name() not in SUPPORTED_DIALECTS:
        return None
    return fold(found.database) if found.database else None


def default_database(context: MigrationContext, name: str) -> str:
    """The database of policies that name none.

    :raises PitrValidationError: nothing says which.
    """
    database = _default_database(context)
    if database is None:
        raise PitrValidationError(
            f"PITR {name!r} names no database, and a script has no connection to ask: put the "
            "database into the URL, or say -x pitr_database=NAME, or pitr_options(database=)"
            " in env.py",
            name=name,
        )
    return database
