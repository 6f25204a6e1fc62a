"""An embedded MatrixOne for tests: `Emulator` speaks the wire protocol on a loopback port."""

from .server import Emulator

__all__ = ["Emulator"]
