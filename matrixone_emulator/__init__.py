"""An embedded MatrixOne for tests: `Emulator` speaks the wire protocol on a loopback port."""

from .server.emulator import Emulator

__all__ = ["Emulator"]
