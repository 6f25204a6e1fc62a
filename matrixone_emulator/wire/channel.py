"""Packets over a socket, and the fields of one packet."""

from __future__ import annotations

import socket

_MAX_CHUNK = 0xFFFFFF


class ConnectionLost(Exception):
    """The client has left, or has sent no valid packet."""


class Channel:
    """Packets over one socket: buffered reading, one send per reply.

    *limit* bounds the memory one client can take with a single packet.
    """

    def __init__(self, sock: socket.socket, *, limit: int) -> None:
        self._sock = sock
        self._reader = sock.makefile("rb", buffering=65536)
        self._out = bytearray()
        self._sequence = 0
        self.limit = limit

    def read(self, *, fresh: bool) -> bytes:
        """The next packet; *fresh* starts a new command, whose sequence begins at 0."""
        if fresh:
            self._sequence = 0
        parts: list[bytes] = []
        total = 0
        while True:
            header = self._exactly(4)
            length = int.from_bytes(header[:3], "little")
            if header[3] != self._sequence & 0xFF:
                raise ConnectionLost(f"packet {header[3]} out of order")
            self._sequence += 1
            total += length
            if total > self.limit:
                raise ConnectionLost(f"packet larger than {self.limit} bytes")
            parts.append(self._exactly(length))
            if length < _MAX_CHUNK:
                return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, payload: bytes) -> None:
        """Queue one packet; `flush` sends."""
        length = len(payload)
        if length < _MAX_CHUNK:
            self._out += (length | (self._sequence & 0xFF) << 24).to_bytes(4, "little")
            self._out += payload
            self._sequence += 1
        else:
            self._write_in_parts(payload)
        if len(self._out) > 1 << 20:
            self.flush()

    def _write_in_parts(self, payload: bytes) -> None:
        start = 0
        while True:
            chunk = payload[start : start + _MAX_CHUNK]
            self._out += len(chunk).to_bytes(3, "little")
            self._out.append(self._sequence & 0xFF)
            self._sequence += 1
            self._out += chunk
            start += _MAX_CHUNK
            if len(chunk) < _MAX_CHUNK:
                break

    def flush(self) -> None:
        if self._out:
            data, self._out = self._out, bytearray()
            try:
                self._sock.sendall(data)
            except OSError as error:
                raise ConnectionLost(str(error)) from error

    def _exactly(self, length: int) -> bytes:
        try:
            data: bytes = self._reader.read(length)
        except (OSError, ValueError) as error:
            raise ConnectionLost(str(error)) from error
        if len(data) != length:
            raise ConnectionLost("end of stream")
        return data

    def close(self) -> None:
        self._reader.close()


class PacketReader:
    """Read the fields of one packet; a packet that is cut short is a lost connection."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def fixed(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._data):
            raise ConnectionLost("packet cut short")
        part = self._data[self._at : end]
        self._at = end
        return part

    def integer(self, length: int) -> int:
        return int.from_bytes(self.fixed(length), "little")

    def terminated(self) -> bytes:
        end = self._data.find(b"\0", self._at)
        if end < 0:
            return self.rest()
        part = self._data[self._at : end]
        self._at = end + 1
        return part

    def length_encoded(self) -> bytes:
        first = self.integer(1)
        if first < 0xFB:
            return self.fixed(first)
        if first not in (0xFC, 0xFD, 0xFE):
            raise ConnectionLost("not a length")
        return self.fixed(self.integer({0xFC: 2, 0xFD: 3, 0xFE: 8}[first]))

    def rest(self) -> bytes:
        part = self._data[self._at :]
        self._at = len(self._data)
        return part

    @property
    def left(self) -> int:
        return len(self._data) - self._at
