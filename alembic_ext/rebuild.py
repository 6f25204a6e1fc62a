"""After each revision: policies whose tables it has rebuilt are renewed, or named in a warning.

An ordinary ALTER TABLE gives a table a new id, which ends its policy without a word. The callback
runs in the revision's own transaction, where the table has its new id already, while another
connection still sees the committed one.

Source: matrixone.md, section 4 ("inside a migration's transaction").
"""

from __future__ import annotations

import warnings
from typing import Any

from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SAWarning

from sqlalchemy_matrixone_pitr import server
from sqlalchemy_matrixone_pitr.generations import Policy, policies, target_text
from sqlalchemy_matrixone_pitr.model import PitrLevel
from sqlalchemy_matrixone_pitr.plan import Declared
from sqlalchemy_matrixone_pitr.recovery import object_ids, renewed_pitr
from sqlalchemy_matrixone_pitr.reflection import ServerState, filters, read_state, reading
from sqlalchemy_matrixone_pitr.schema import Schemas
from sqlalchemy_matrixone_pitr.transaction import pending_pitrs

from .times import record
from .toimpl import CreateWhereMissing


class AfterRevision:
    """The ``on_version_apply`` callback: a few reading statements a revision.

    :param record_times: remember when the revision ran, see ``times.py``.
    """

    def __init__(self, metadata: Schemas | None, record_times: bool) -> None:
        self._metadata = metadata
        self._record_times = record_times

    def __call__(self, *, ctx: MigrationContext, step: Any, **kw: Any) -> None:
        connection = ctx.connection
        if ctx.as_sql or step.is_stamp or connection is None:
            return
        if connection.dialect.name not in server.SUPPORTED_DIALECTS:
            return
        if server.matrixone_version(connection) is None:
            return
        for policy in self._rebuilt(connection):
            self._renew_or_warn(connection, policy)
        if self._record_times:
            record(ctx, step, connection)

    def _rebuilt(self, connection: Connection) -> list[Policy]:
        """The table policies that this revision, or one before, has ended."""
        with reading(connection.engine) as aside:
            state = read_state(aside, filters(level=PitrLevel.TABLE), tables=())
        found = [policy for policy in policies(state.pitrs) if policy.target[2] is not None]
        if not found:
            return []
        wanted = {(str(policy.target[2]), policy.target[3]) for policy in found}
        here = object_ids(connection, wanted)
        return [policy for policy in found if self._is_rebuilt(policy, state, here)]

    @staticmethod
    def _is_rebuilt(
        policy: Policy, state: ServerState, here: dict[tuple[str, str | None], int]
    ) -> bool:
        """Rebuilt in this transaction, or, as in an autocommit block, committed already."""
        key = (str(policy.target[2]), policy.target[3])
        if key not in here:
            return False  # dropped: there is nothing to protect
        committed = state.objects.get(key)
        return policy.detached or (committed is not None and committed.id != here[key])

    def _renew_or_warn(self, connection: Connection, policy: Policy) -> None:
        waiting = {element.pitr_name for element in pending_pitrs(connection)}
        renewed = renewed_pitr(policy)
        if renewed.name in waiting:
            return
        if self._on_rebuild(connection, policy) == "renew":
            connection.execute(CreateWhereMissing(renewed))
            return
        warnings.warn(
            f"{target_text(policy.current)} was rebuilt, and its policy {policy.name!r} protects "
            f"nothing new: renew_pitr(engine, {policy.name!r}), or mo-pitr renew {policy.name}",
            SAWarning,
            stacklevel=2,
        )

    def _on_rebuild(self, connection: Connection, policy: Policy) -> str:
        if self._metadata is None:
            return "warn"
        default = server.current_database(connection)
        declared = Declared(self._metadata, connection.get_execution_options(), default)
        for declaration in declared.declarations():
            if declaration.pitr.name == policy.name:
                return declaration.on_rebuild
        return "warn"
