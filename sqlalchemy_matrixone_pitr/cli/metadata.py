"""The user's metadata: ``package.module:name`` or ``path/to/file.py:name``."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .errors import CliError

if TYPE_CHECKING:
    from ..declarations import Schemas


def load_metadata(argument: str) -> Schemas:
    """The metadata of ``package.module:name`` or ``path/to/file.py:name``.

    ``name`` may have dots, and may be a MetaData, a declarative base, or a list of them. An error
    in the user's module is shown as it is.
    """
    module_name, colon, path = argument.rpartition(":")
    if not colon or not module_name or not path:
        raise click.UsageError(
            f"{argument!r} names no metadata: write MODULE:NAME, such as shop.models:Base or "
            "models.py:metadata"
        )
    with _shown_as_they_are(module_name):
        found = _import(module_name)
        for part in path.split("."):
            try:
                found = getattr(found, part)
            except AttributeError:
                raise CliError(f"{module_name} has no {path}") from None
    from ..declarations import metadatas
    from ..errors import PitrValidationError

    try:
        metadatas(found)
    except PitrValidationError as error:
        raise CliError(f"{argument}: {error}") from None
    schemas: Schemas = found
    return schemas


def _import(name: str) -> Any:
    if name.endswith(".py") or os.sep in name:
        return _import_file(Path(name))
    sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as missing:
        if name == missing.name or name.startswith(f"{missing.name}."):
            raise CliError(f"there is no module {missing.name} (looked for {name})") from None
        raise


def _import_file(path: Path) -> Any:
    if not path.is_file():
        raise CliError(f"there is no file {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise CliError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    sys.path.insert(0, str(path.resolve().parent))
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _shown_as_they_are(module: str) -> Iterator[None]:
    """Errors of the user's module, its own exit too: their traceback, from where it begins."""
    try:
        yield
    except (CliError, KeyboardInterrupt):
        raise
    except BaseException as error:  # noqa: BLE001 - the user's module may raise anything
        frames = error.__traceback__
        while frames is not None and (
            frames.tb_frame.f_code.co_filename.startswith("<frozen importlib")
            or frames.tb_frame.f_code.co_filename in (__file__, importlib.__file__)
        ):
            frames = frames.tb_next
        theirs = "".join(traceback.format_exception(type(error), error, frames))
        click.echo(theirs, err=True, nl=False)
        raise CliError(f"{module} could not be imported") from None
