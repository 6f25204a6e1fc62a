"""The embedded MatrixOne, by its name in this package: `matrixone_emulator`."""

from matrixone_emulator import Emulator

__all__ = ["Emulator"]
