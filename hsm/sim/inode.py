"""A simulated file: its bytes as programs see them, and as they would be after a power cut."""

from __future__ import annotations

from enum import StrEnum
from random import Random

from hsm.sim.process import SimProcess

SECTOR_BYTES = 512


class Keep(StrEnum):
    """What a power cut keeps of what was not synced."""

    NONE = "none"
    ALL = "all"
    PREFIX = "prefix"
    TORN = "torn"


class Inode:
    """A regular file: its bytes as programs see them, and as they would be after a power cut."""

    __slots__ = (
        "content",
        "holder",
        "is_read_only",
        "modified_ns",
        "number",
        "pending",
        "reserved",
        "stable",
    )

    def __init__(self, number: int) -> None:
        self.number = number
        self.content = bytearray()
        self.stable = bytearray()
        self.pending: list[tuple[int, bytes | None]] = []  # (offset, bytes), or (size, None) for a cut
        self.is_read_only = False
        self.modified_ns = 0
        self.reserved = 0  # bytes that it takes up, though nothing is written
        self.holder: SimProcess | None = None  # of its lock

    def write(self, offset: int, data: bytes) -> None:
        """Write at an offset."""
        _put(self.content, offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        """Cut, or lengthen with zeros."""
        _cut(self.content, size)
        self.pending.append((size, None))

    def sync(self) -> None:
        """Make everything written so far durable."""
        for change in self.pending:
            _apply(self.stable, change)
        self.pending.clear()

    def forget(self) -> None:
        """Behave as a kernel whose write-back failed: the pages count as clean and never reach the disk."""
        self.pending.clear()

    def cut_power(self, keep: Keep, rng: Random) -> None:
        """Keep a part of what was not synced, and be what is left."""
        match keep:
            case Keep.ALL:
                self.sync()
            case Keep.PREFIX:
                for change in self.pending[: rng.randint(0, len(self.pending))]:
                    _apply(self.stable, change)
            case Keep.TORN:
                lost = set[int]()
                for change in self.pending:
                    _apply_torn(self.stable, change, rng, lost)
            case Keep.NONE:
                pass
        self.pending.clear()


def _put(content: bytearray, offset: int, data: bytes) -> None:
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _cut(content: bytearray, size: int) -> None:
    if size < len(content):
        del content[size:]
    else:
        content.extend(bytes(size - len(content)))


def _apply(content: bytearray, change: tuple[int, bytes | None]) -> None:
    offset, data = change
    if data is None:
        _cut(content, offset)
    else:
        _put(content, offset, data)


def _apply_torn(content: bytearray, change: tuple[int, bytes | None], rng: Random, lost: set[int]) -> None:
    """Apply some of the sectors that a change touches: of each, none that come after one that was lost."""
    offset, data = change
    if data is None:
        if rng.random() < 0.5:
            _cut(content, offset)
        return
    at = 0
    while at < len(data):
        end = min(len(data), at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES)
        sector = (offset + at) // SECTOR_BYTES
        if rng.random() >= 0.5:
            lost.add(sector)
        if sector not in lost:
            _put(content, offset + at, data[at:end])
        at = end
