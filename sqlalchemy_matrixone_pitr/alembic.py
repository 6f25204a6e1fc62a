"""PITR policies in Alembic migrations: three lines in env.py.

::

    from sqlalchemy_matrixone_pitr.alembic import pitr_options, register

    register()
    ...
    context.configure(connection=connection, target_metadata=metadata, **pitr_options(metadata))

Migrations then have ``op.create_pitr``, ``op.alter_pitr``, ``op.drop_pitr`` and ``op.renew_pitr``,
autogenerate writes them, and ``alembic check`` looks at policies too. The code is in the package
``alembic_ext``, which this one brings along.
"""

from __future__ import annotations

import importlib.util

if getattr(importlib.util.find_spec("alembic"), "origin", None) is None:  # none, or a mere folder
    raise ModuleNotFoundError(
        "sqlalchemy_matrixone_pitr.alembic needs Alembic: "
        "pip install 'sqlalchemy-matrixone-pitr[alembic]'",
        name="alembic",
    )

import alembic_ext as _alembic_ext

if not hasattr(_alembic_ext, "pitr_options"):
    raise ImportError(
        f"the package alembic_ext that Python finds, {_alembic_ext.__file__ or _alembic_ext}, is "
        "not that of sqlalchemy-matrixone-pitr: rename it, or put it behind on sys.path"
    )

from alembic_ext import (
    AlterPitrOp,
    CreatePitrOp,
    DropPitrOp,
    DropUnnamedConstraintOp,
    MatrixOneImpl,
    RenewPitrOp,
    RestorePoint,
    guard_migrations,
    op,
    pitr_options,
    register,
    restore_point,
)

__all__ = [
    "AlterPitrOp",
    "CreatePitrOp",
    "DropPitrOp",
    "DropUnnamedConstraintOp",
    "MatrixOneImpl",
    "RenewPitrOp",
    "RestorePoint",
    "guard_migrations",
    "op",
    "pitr_options",
    "register",
    "restore_point",
]
