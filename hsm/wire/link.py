"""Packets between a manager and its relay on another machine: how they travel over one stream of bytes.

    ┌ header length, 4 bytes ┬ body length, 4 bytes ┬ header: one line of JSON ┬ body ┐

The stream itself (an SSH channel, a pipe) keeps order and integrity. A shell may print before the relay
speaks, so the relay's first bytes are a greeting that holds a word which the manager made up.
"""

from __future__ import annotations

import json
import struct
from collections import deque
from typing import Any, Deque, Dict, List, NamedTuple, Optional, Tuple

MAX_HEADER_BYTES = 4 << 20
MAX_BODY_BYTES = 1 << 20
MAX_NOISE_BYTES = 1 << 20
"""So much may a login shell print before the greeting."""

DONE = "done"
REFUSED = "refused"
STOP = "stop"
"""Nobody listens to the answer of this call any more."""
BEAT = "beat"
"""Said by either side so often that a silent link is a dead one."""

_LENGTHS = struct.Struct(">II")
_ENCODE = json.JSONEncoder(ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode


class Packet(NamedTuple):
    """One message. `call` is the call that it begins or answers; 0 where it belongs to none."""

    kind: str
    call: int = 0
    fields: Dict[str, Any] = {}  # noqa: RUF012 - never changed
    body: bytes = b""


class BadPacket(ValueError):
    """The stream does not hold what the other side of a link writes."""


def encode_packet(packet: Packet) -> bytes:
    """Return the bytes of a packet.

    Raises:
        ValueError: it is longer than the other side accepts.
    """
    header = _ENCODE({**packet.fields, "t": packet.kind, "call": packet.call}).encode("ascii")
    if len(header) > MAX_HEADER_BYTES or len(packet.body) > MAX_BODY_BYTES:
        raise ValueError(f"a packet of {len(header)} and {len(packet.body)} bytes")
    return _LENGTHS.pack(len(header), len(packet.body)) + header + packet.body


class PacketReader:
    """Cuts a stream into packets. Each byte of a body is copied once, however the stream comes."""

    def __init__(self) -> None:
        self._held: Deque[memoryview] = deque()
        self._size = 0
        self._lengths: Optional[Tuple[int, int]] = None

    def feed(self, data: bytes) -> List[Packet]:
        """Return the packets that are whole now.

        Raises:
            BadPacket: a length or a header is none that a link writes.
        """
        if data:
            self._held.append(memoryview(data))
            self._size += len(data)
        packets: List[Packet] = []
        while True:
            if self._lengths is None:
                if self._size < _LENGTHS.size:
                    return packets
                self._lengths = _checked(*_LENGTHS.unpack(self._cut(_LENGTHS.size)))
            header_length, body_length = self._lengths
            if self._size < header_length + body_length:
                return packets
            self._lengths = None
            packets.append(_packet(self._cut(header_length), self._cut(body_length)))

    def _cut(self, length: int) -> bytes:
        """Return the next so many bytes of what is held."""
        self._size -= length
        parts: List[memoryview] = []
        while length:
            first = self._held.popleft()
            if len(first) > length:
                self._held.appendleft(first[length:])
                first = first[:length]
            parts.append(first)
            length -= len(first)
        return b"".join(parts)


def _checked(header_length: int, body_length: int) -> Tuple[int, int]:
    if header_length > MAX_HEADER_BYTES or body_length > MAX_BODY_BYTES:
        raise BadPacket(f"a packet of {header_length} and {body_length} bytes")
    return header_length, body_length


def _packet(header: bytes, body: bytes) -> Packet:
    try:
        fields = json.loads(header)
        kind, call = fields.pop("t"), fields.pop("call")
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError) as error:
        raise BadPacket(f"a header that is none: {header[:80]!r}") from error
    if not isinstance(kind, str) or type(call) is not int:
        raise BadPacket(f"a header that is none: {header[:80]!r}")
    return Packet(kind, call, fields, body)


def greeting(word: str) -> bytes:
    """Return the line with which a relay begins, on a line of its own whatever a shell printed before."""
    return f"\n@@hsm-link {word}\n".encode("ascii")
