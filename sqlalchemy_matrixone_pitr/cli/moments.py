"""Moments on the command line: what options take, and what is printed of them."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from .console import Console
from .errors import needs
from .restore_point import project_script

if TYPE_CHECKING:
    from sqlalchemy.engine import Engine

    from ..moment import Moment

REVISION: Final = "revision:"
"""Before an Alembic revision: the moment just before it ran."""


def moment_option(name: str, help: str, **more: Any) -> Callable[..., Any]:
    return click.option(name, metavar="MOMENT", help=help, **more)


at_option = moment_option(
    "--at",
    "The moment, such as '2026-11-28 09:30:00+01:00', '10m ago', or revision:ID, just before an "
    "Alembic revision ran.",
    required=True,
)
allow_unprotected = click.option(
    "--allow-unprotected",
    is_flag=True,
    help="Read what no policy keeps, too: once the server has collected it, it is empty.",
)


class Moments:
    """Moments that options say, all by one reading of the server's clock.

    :ivar stamps: the ``alembic stamp`` commands that belong to a moment before a revision.
    """

    def __init__(self, engine: Engine) -> None:
        from ..moment import Moment

        self._engine = engine
        self.now = Moment.now(engine)
        self.stamps: list[str] = []

    def of(self, option: str, text: str) -> Moment:
        """A moment that has passed, or that just before an Alembic revision."""
        from ..errors import PitrValidationError
        from ..moment import Moment

        try:
            if text.startswith(REVISION):
                return self._of_revision(text.removeprefix(REVISION))
            return Moment.parse(text, now=self.now).check_past(self.now)
        except PitrValidationError as error:
            raise click.BadParameter(str(error), param_hint=f"'{option}'") from error

    def _of_revision(self, revision: str) -> Moment:
        from ..moment import Moment

        with needs("alembic"):
            from ..alembic import restore_point
        point = restore_point(self._engine, revision, script=project_script())
        self.stamps = [one for one in point.afterwards if one.startswith("alembic stamp")]
        return Moment.of(point.moment)


def described(moment: Moment) -> dict[str, object]:
    return {"moment": str(moment), "nanoseconds": moment.nanoseconds}


def command_for(command: str, name: str, at: Moment) -> str:
    return f"mo-pitr {command} {shlex.quote(name)} --at '{at}'"


@contextlib.contextmanager
def counted_reads(engine: Engine, what: str) -> Iterator[None]:
    """The number of reads of the past so far, on a terminal."""
    from sqlalchemy import event

    reads = 0
    with Console(error=True).working(what) as progress:

        def count(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
            nonlocal reads
            if "{MO_TS" in statement:
                reads += 1
                progress(f"{reads:,} reads")

        event.listen(engine, "after_cursor_execute", count)
        try:
            yield
        finally:
            event.remove(engine, "after_cursor_execute", count)
