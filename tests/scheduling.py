"""Shares the tests out to pytest-xdist's workers: those of a module on one version to one worker.

They share an emulator, a wheel, the demo's output, mypy's cache. pytest-xdist's own ``loadgroup``
does nothing since pytest 9.2, and ``loadfile`` would leave one worker at work on both versions.
"""

from __future__ import annotations

import re

from xdist.scheduler import LoadScopeScheduling

_VERSION = re.compile(r"\[(?:.*-)?(\d+\.\d+\.\d+|main)(?:-.*)?\]$")


def shared_with(node_id: str) -> str:
    """Name the group of tests that run in one worker."""
    version = _VERSION.search(node_id)
    return " ".join([node_id.partition("::")[0], *(version.groups() if version else ())])


class ByModule(LoadScopeScheduling):  # type: ignore[misc] # it has no types
    """Hand out what :func:`shared_with` names, as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        return shared_with(nodeid)
