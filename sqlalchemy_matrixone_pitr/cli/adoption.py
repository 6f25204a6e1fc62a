"""``import``: the declarations that adopt the policies a server has already."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from .arguments import connected, databases
from .console import Console
from .policies import read, wanted

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..declarations import Schemas
    from ..generations import Policy
    from ..model import Pitr
    from ..status import ServerState

PACKAGE = "sqlalchemy_matrixone_pitr"


@click.command(
    "import",
    epilog="""\b
    Example:
      mo-pitr import shop.models:Base \\
          --url matrixone+pymysql://dump:111@127.0.0.1:6001/shop
    """,
)
@click.argument("metadata", metavar="[MODULE:METADATA]", required=False)
@databases
@connected
def import_(engine: Engine, metadata: Schemas | None, databases: tuple[str, ...]) -> None:
    """Print the declarations that adopt the policies that the server has.

    Policies made by hand keep their names. With metadata, only what they do not declare yet: the
    policies of their databases and tables, of the account and of the cluster; with --database those
    of that database alone, theirs or not. Paste the lines into the models; `mo-pitr check` then
    says "in sync".
    """
    from ..generations import policies

    state = read(engine)
    found = policies(wanted(state.pitrs, databases))
    declared = _Declared.of(engine, metadata, state, asked=databases)
    if metadata is None:
        nothing = "the server has no such policy"
    elif databases:
        nothing = f"every policy of {', '.join(databases)} is declared"
    else:
        nothing = (
            "every policy of the metadata's databases, the account and the cluster is declared"
        )
    adopted = Adopted(state.database, nothing)
    for policy in found:
        if declared.concerns(policy) and not declared.has(policy):
            adopted.add(policy, declared.of_target(policy), is_there=_is_there(policy, state))
    Console().as_it_is(adopted.text())


def _is_there(policy: Policy, state: ServerState) -> bool:
    _, _, database, table = policy.target
    return database is None or (database, table) in state.objects


@dataclass(frozen=True)
class _Declared:
    """The policies that metadata declare already; where none, all of the server is news."""

    policies: Sequence[Pitr] = ()
    databases: frozenset[str] | None = None

    @classmethod
    def of(
        cls,
        engine: Engine,
        metadata: Schemas | None,
        state: ServerState,
        *,
        asked: Iterable[str] = (),
    ) -> _Declared:
        from ..declarations import Databases, bind_declarations
        from ..names import fold

        if metadata is None:
            return cls()
        bound = bind_declarations(
            metadata, Databases.of(engine).told(state.database), state.account
        )
        return cls(bound.pitrs, bound.databases | {fold(name) for name in asked})

    def concerns(self, policy: Policy) -> bool:
        database = policy.target[2]
        return self.databases is None or database is None or database in self.databases

    def has(self, policy: Policy) -> bool:
        return any(
            pitr.name == policy.name and pitr.range == policy.current.range
            for pitr in self._for(policy)
        )

    def of_target(self, policy: Policy) -> Pitr | None:
        """The declaration for the policy's object."""
        return next(iter(self._for(policy)), None)

    def _for(self, policy: Policy) -> list[Pitr]:
        from ..generations import target_of

        return [pitr for pitr in self.policies if target_of(pitr) == policy.target]


@dataclass
class Adopted:
    """Declarations as Python text.

    :ivar default: the database that a declaration need not name.
    :ivar nothing: what to say where there is nothing to adopt.
    """

    default: str | None
    nothing: str
    tables: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, policy: Policy, declared: Pitr | None, *, is_there: bool) -> None:
        """Take in a policy.

        :param declared: what the metadata declare for its object now.
        :param is_there: whether its object exists.
        """
        from ..errors import PitrValidationError
        from ..generations import check_declared_name, target_text
        from ..model import PitrLevel, PitrRange

        pitr = policy.current
        target = target_text(policy.target)
        if not is_there:
            self.left.append(f"{pitr.name}: {target} does not exist")
            return
        try:
            name = check_declared_name(policy.name)
            PitrRange.of(pitr.range)  # the server may hold one that is not to be sent
        except PitrValidationError as error:
            self.left.append(f"{pitr.name} of {target} cannot be declared: {error}")
            return
        instead = "" if declared is None else f"  # instead of {_short(declared, name)}"
        if pitr.level is PitrLevel.TABLE:
            line = f"TablePitr({str(pitr.range)!r}, {name!r}),"
            self.tables.append(f"# {target}{self._schema(pitr)}\n{line}{instead}")
        else:
            self.others.append(f"    {self._call(pitr, name)},{instead}")

    def _schema(self, pitr: Pitr) -> str:
        if pitr.database_name == self.default:
            return ""
        return f", whose Table has schema={pitr.database_name!r}"

    def _call(self, pitr: Pitr, name: str) -> str:
        from ..model import PitrLevel

        span = str(pitr.range)
        if pitr.level is PitrLevel.DATABASE:
            other = pitr.database_name != self.default
            database = f", database_name={pitr.database_name!r}" if other else ""
            return f"DatabasePitr({span!r}, {name!r}{database})"
        if pitr.level is PitrLevel.CLUSTER:
            return f"Pitr.cluster({name!r}, {span!r})"
        account = f", account_name={pitr.account_name!r}" if pitr.account_name else ""
        return f"Pitr.account({name!r}, {span!r}{account})"

    def text(self) -> str:
        """The import, what goes into each Table, then the rest; what is left out as comments."""
        parts: list[str] = []
        if self.tables:
            parts += ["# In each Table, or in its class's __table_args__ = (...,):", *self.tables]
        if self.others:
            parts.append("\n".join(("declare_pitrs(", "    metadata,", *self.others, ")")))
        text = "\n".join(parts)
        names = [
            word
            for word in ("DatabasePitr", "Pitr", "TablePitr", "declare_pitrs")
            if any(_uses(part, word) for part in parts)
        ]
        lines = [f"from {PACKAGE} import {', '.join(names)}", "", text] if names else []
        if not names and not self.left:
            lines.append(f"# Nothing to adopt: {self.nothing}.")
        lines += _comments(self.left)
        return "\n".join(lines)


def _short(declared: Pitr, name: str) -> str:
    """The parts of a declaration that differ from the server's."""
    span = repr(str(declared.range))
    return span if declared.name == name else f"{span}, {declared.name!r}"


def _uses(text: str, word: str) -> bool:
    return re.search(rf"(?<!\w){word}[(.]", text) is not None


def _comments(left: Iterable[str]) -> list[str]:
    return [f"# not adopted: {' '.join(text.split())}" for text in left]
