"""Tables that are computed when they are read: information_schema, mo_catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from ..types.columns import SqlType
from ..versions.rules import Rules
from .records import SessionContext
from .store import Store
from .tables import Tables


class Reader(Protocol):
    """The side of a session that such a table reads: its context, the catalogue, other tables."""

    context: SessionContext
    store: Store
    catalogue: Tables

    @property
    def rules(self) -> Rules: ...

    @property
    def virtual(self) -> Mapping[tuple[str, str], VirtualTable]: ...


@dataclass
class VirtualTable:
    """A table computed when it is read: its columns, and a function of its rows at a moment."""

    columns: list[tuple[str, SqlType]]
    rows: Callable[[Reader, int | None], Iterable[tuple[object, ...]]]
    sys_only: bool = False
    view: bool = False
    unimplemented: bool = False
    """Whether the server has rows there that the emulator cannot give"""
