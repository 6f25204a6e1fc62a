"""Output of commands: lines, tables, plans and bars; plain where the stream is no terminal.

Colour is for terminals, and not with ``NO_COLOR``; with ``FORCE_COLOR`` it is for pipes too. Names
are printed whole: they are copied.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING

import click

from ..printing import cells, one_line, printable
from .errors import CliError, as_commands, needs

if TYPE_CHECKING:
    from ..model import Pitr
    from ..plan.actions import Action, Plan
    from ..report import ApplyReport

WAITING = "Waiting for what is on its way; Ctrl-C again leaves at once.\n"

_TO_COPY = re.compile(r"(?:DROP PITR )?`[^`]*`")
"""Parts of a line that people copy, and that no line break may split."""

MOST_NAMES = 20
"""So many names are printed of what a plan leaves alone."""


class Console:
    """Lines, tables and bars.

    Standard output is the process's own, whatever ``sys.stdout`` is while others' code runs.
    """

    _COLOURS: Mapping[str, str] = {
        "+": "green",
        "~": "yellow",
        "*": "cyan",
        "-": "red",
        "!": "magenta",
    }

    def __init__(self, *, error: bool = False) -> None:
        self._error = error
        self._stream = sys.stderr if error else sys.__stdout__
        self._terminal = self._stream is not None and self._stream.isatty()
        self._colour = not os.environ.get("NO_COLOR") and (
            self._terminal or os.environ.get("FORCE_COLOR", "0") not in ("", "0")
        )

    @property
    def width(self) -> int | None:
        """Columns of the terminal; None where it is none, and lines have no end."""
        return shutil.get_terminal_size().columns if self._terminal else None

    def line(self, text: str, colour: str | None = None, *, indent: str = "") -> None:
        """Lines; on a terminal they are broken between words, never in one.

        :param indent: of what follows a break.
        """
        text = "\n".join(self._wrapped(line, indent) for line in printable(text).split("\n"))
        if colour is not None and self._colour:
            text = click.style(text, fg=colour)
        self._write(self._shown(text))

    def _wrapped(self, line: str, indent: str) -> str:
        if self.width is None or cells(line) <= self.width:
            return line
        start = line[: len(line) - len(line.lstrip())]
        whole = _TO_COPY.sub(lambda match: match[0].replace(" ", "\0"), line.lstrip())
        lines, now = [], start
        for word in re.findall(r" *[^ ]+", whole):
            if now.strip() and cells(now + word) > self.width:
                lines.append(now)
                now = start + indent + word.lstrip()
            else:
                now += word
        return "\n".join([*lines, now]).replace("\0", " ")

    def json(self, value: object) -> None:
        self._write(json.dumps(value, indent=2, ensure_ascii=self.is_plain))

    def script(self, statements: Iterable[object], comments: Iterable[object] = ()) -> None:
        """SQL statements, a line each, and before them what is not one."""
        lines = [f"-- {' '.join(str(comment).splitlines())}" for comment in comments]
        lines += [f"{statement};" for statement in statements]
        if lines:
            self.as_it_is("\n".join(lines))

    def as_it_is(self, text: str) -> None:
        """Text that is to be copied or run: never broken, and on a pipe not changed at all."""
        self._write(printable(text) if self._terminal else text)

    def picture(self, draw: Callable[..., str]) -> None:
        """A text that a function of ``width``, ``color`` and ``ascii`` makes fit the terminal."""
        drawn = draw(width=self.width, color=self._colour, ascii=self.is_plain)
        self._write(self._shown(drawn.rstrip("\n")))

    @property
    def is_plain(self) -> bool:
        """Whether not all characters can be written."""
        return not self._encoding.lower().startswith("utf")

    @property
    def _encoding(self) -> str:
        return getattr(self._stream, "encoding", None) or ""

    def _shown(self, text: str) -> str:
        """A text for people, with escapes for what cannot be written."""
        if not self.is_plain or not self._encoding:
            return text
        return text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            click.echo(text, self._stream, color=self._colour)
        except BrokenPipeError:
            raise click.exceptions.Exit(2) from None  # nobody reads it
        except OSError as error:
            which = "error" if self._error else "output"
            raise CliError(f"standard {which}: {error.strerror}") from error

    # -- plans

    def plan(self, plan: Plan, in_sync: str) -> None:
        """A plan: what is left alone, what is to be done and what it costs; last its summary.

        :param in_sync: the summary of one that has nothing to do.
        """
        from ..extent import in_words

        for what, pitrs in (
            ("not declared, left alone", plan.undeclared),
            ("taken for active, this account cannot tell", plan.unknown),
            ("held, range left alone (mo-pitr holds)", plan.held),
        ):
            if pitrs:
                self.line(f"{what}: {_names(pitrs)}", indent="  ")
        for action in plan.when_released:
            self.line(f"when its hold ends: {action}", "yellow", indent="    ")
        if plan.history:
            many = len(plan.history)
            older = "1 older generation" if many == 1 else f"{many} older generations"
            self.line(f"{older} kept for history (mo-pitr show --history)", indent="  ")
        for line in in_words(plan.rows_only):
            self.line(line, "yellow", indent="    ")
        for conflict in plan.conflicts:
            self.line(str(conflict), self._COLOURS["!"], indent="    ")
        for actions in _alike(plan.actions):
            self._actions(actions)
        self.line(in_sync if plan.in_sync else f"Plan: {plan.summary()}")

    def _actions(self, actions: Sequence[Action]) -> None:
        """Actions of one kind, for one reason; the reason once."""
        first = actions[0]
        colour = self._COLOURS[first.sign]
        cost = first.cost
        if len(actions) == 1:
            self.line(str(first), colour, indent="    ")
        else:
            self.line(f"{_general(first, first.reason)}:")
            for action in actions:
                whole = str(action).removesuffix(f": {action.reason}")
                self.line(f"  {whole}", colour, indent="    ")
            cost = _general(first, cost)
        if cost:
            mark = "destructive: " if first.destructive else "note: "
            each = "each: " if len(actions) > 1 else ""
            self.line(f"    {mark}{each}{cost}", indent="  ")

    def report(self, report: ApplyReport) -> None:
        self.line(as_commands(str(report)), None if report.ok else "red", indent="    ")

    # -- tables

    def table(
        self, heads: Sequence[str], rows: Sequence[Sequence[str]], *, styles: Mapping[str, str]
    ) -> None:
        """Rows: name, object, and short cells. Nothing is cut or broken.

        In one line each; where a terminal is too narrow, the object is below; and where the name
        alone leaves no room, the short cells are too.

        :param styles: colours of cells, by what is in them.
        """
        lines = [list(heads), *([one_line(cell) for cell in row] for row in rows)]
        if self._fits(lines):
            layouts = [[line] for line in lines]
        elif self._fits(beside := [[line[0], *line[2:]] for line in lines]):
            layouts = [[short, ["  " + line[1]]] for short, line in zip(beside, lines, strict=True)]
        else:
            layouts = [[[line[0]], ["  " + line[1]], ["  " + line[2], *line[3:]]] for line in lines]
        for number in range(len(layouts[0])):
            self._align([layout[number] for layout in layouts])
        for layout in layouts:
            for row in layout:
                self._write(self._shown(self._styled(row, styles)))

    def _fits(self, lines: Sequence[Sequence[str]]) -> bool:
        widths = [max(map(cells, column)) for column in zip(*lines, strict=True)]
        return self.width is None or sum(widths) + 2 * (len(widths) - 1) <= self.width

    def _align(self, lines: Sequence[list[str]]) -> None:
        for column in range(len(lines[0]) - 1):
            width = max(cells(line[column]) for line in lines) + 2
            for line in lines:
                line[column] += " " * (width - cells(line[column]))

    def _styled(self, row: Sequence[str], styles: Mapping[str, str]) -> str:
        shown = []
        for cell in row:
            colour = styles.get(cell.strip()) if self._colour else None
            blanks = " " * (len(cell) - len(cell.rstrip()))
            shown.append(cell if colour is None else click.style(cell.rstrip(), fg=colour) + blanks)
        return "".join(shown).rstrip()

    @contextlib.contextmanager
    def progress(self, total: int, many: int) -> Iterator[Callable[[], None]]:
        """A bar for many steps, on a terminal with colour."""
        if total < many or not (self._colour and self._terminal):
            yield lambda: None
            return
        with needs("cli"):
            from rich.console import Console as RichConsole
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        with Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=RichConsole(file=self._stream),
            transient=True,
        ) as bar:
            task = bar.add_task("apply", total=total)
            yield lambda: bar.advance(task)

    @contextlib.contextmanager
    def working(self, what: str) -> Iterator[Callable[[str], None]]:
        """The time that something takes, and how far it is, on a terminal with colour."""
        if not (self._colour and self._terminal):
            yield lambda so_far: None
            return
        with needs("cli"):
            from rich.console import Console as RichConsole
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=RichConsole(file=self._stream),
            transient=True,
        ) as shown:
            task = shown.add_task(printable(what), total=None)
            yield lambda so_far: shown.update(task, description=printable(f"{what}: {so_far}"))


def warn(text: str) -> None:
    """A warning on standard error, in a command's words."""
    Console(error=True).line(f"Warning: {as_commands(text)}", "yellow", indent="  ")


def _names(pitrs: Sequence[Pitr]) -> str:
    shown = ", ".join(pitr.name for pitr in pitrs[:MOST_NAMES])
    left = len(pitrs) - MOST_NAMES
    return f"{shown} and {left} more (mo-pitr show)" if left > 0 else shown


def _alike(actions: Iterable[Action]) -> Iterator[list[Action]]:
    """Actions that follow each other and differ in their policy alone, together."""
    together: list[Action] = []
    for action in actions:
        if together and _kind(action) != _kind(together[0]):
            yield together
            together = []
        together.append(action)
    if together:
        yield together


def _kind(action: Action) -> tuple[object, ...]:
    return (
        action.kind,
        action.destructive,
        _general(action, action.reason),
        _general(action, action.cost),
    )


def _general(action: Action, text: str | None) -> str | None:
    """A reason or cost as it reads for several policies at once."""
    from ..generations import target_text

    if text is None:
        return None
    text = text.replace(target_text(action.pitr), "its object")
    if action.existing is not None:
        text = text.replace(f"{target_text(action.existing)}", "its object")
        if len(action.existing.name) > 2:
            text = text.replace(action.existing.name, "the present one")
    return text


# -------------------------------------------------------------------------------------- interrupted


@contextlib.contextmanager
def announce_interrupt() -> Iterator[None]:
    """Say at the first Ctrl-C that it is heard; what it does stays as it was."""
    before = signal.getsignal(signal.SIGINT)
    if not callable(before):  # ignored, as of a job in the background
        yield
        return

    def interrupted(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, before)
        if sys.stderr is not None:
            with contextlib.suppress(OSError):  # unbuffered: it may come in the middle of a line
                os.write(sys.stderr.fileno(), b"\n" + WAITING.encode())
        before(number, frame)

    signal.signal(signal.SIGINT, interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def flushed() -> bool:
    """Whether all output is out. What is not is given up, or Python would try, and say so."""
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            done = False
    return done
