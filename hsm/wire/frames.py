r"""The frame format of every log: `L1 <seq:16 hex> <len:8 hex> <crc:8 hex> <payload>\n`.

CRC-32 runs over the bytes `<seq> <len> ` and the payload. Records are written in groups; a group counts
only when the commit frame that closes it is there and its chain agrees:
`{"t":"C","n":<records>,"h":<chain>}` with chain_k = BLAKE2b-128(chain_{k-1} || payload_k).
There is one spelling of each frame: numbers have all of their digits, in lower case.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from typing import Iterable, Iterator, List, NamedTuple, Optional, Tuple

MAGIC = b"L1 "
HEADER_BYTES = 38
MAX_PAYLOAD = 64 << 20
GENESIS = bytes(16)
SECTOR_BYTES = 512
_COMMIT_PREFIX = b'{"t":"C",'
_SEQ = re.compile(rb"L1 ([0-9a-f]{16})")
_HEADER = re.compile(b"L1 (([0-9a-f]{16}) ([0-9a-f]{8}) )([0-9a-f]{8}) ")
_LINE_END = ord("\n")


class Group(NamedTuple):
    """One committed group: its payloads, and where the log stands after it."""

    payloads: list[bytes]
    end: int
    seq: int
    chain: bytes


class Damage(NamedTuple):
    """Where reading stopped, and why. `incomplete` when more bytes could still make it whole."""

    offset: int
    reason: str
    incomplete: bool


def encode_frame(seq: int, payload: bytes) -> bytes:
    """Return the frame of one payload."""
    body = b"%016x %08x " % (seq, len(payload))
    return b"L1 %b%08x %b\n" % (body, zlib.crc32(payload, zlib.crc32(body)), payload)


def advance(chain: bytes, payload: bytes) -> bytes:
    """Return the chain after one more payload."""
    return hashlib.blake2b(chain + payload, digest_size=16).digest()


def encode_group(seq: int, chain: bytes, payloads: Iterable[bytes]) -> tuple[bytes, int, bytes]:
    """Return a group's bytes with its commit frame, and the next seq and chain.

    Raises:
        ValueError: a payload is longer than readers accept.
    """
    parts = []
    for payload in payloads:
        if len(payload) > MAX_PAYLOAD:
            raise ValueError(f"a record of {len(payload)} bytes; the limit is {MAX_PAYLOAD}")
        parts.append(encode_frame(seq, payload))
        chain = advance(chain, payload)
        seq += 1
    parts.append(encode_frame(seq, _commit_payload(len(parts), chain)))
    return b"".join(parts), seq + 1, chain


def _commit_payload(count: int, chain: bytes) -> bytes:
    return b'{"t":"C","n":%d,"h":"%b"}' % (count, chain.hex().encode())


def _frame_at(data: bytes, start: int) -> tuple[int, bytes, int] | str | None:
    """Return (seq, payload, end) of the frame at `start`, None when cut short, else what is wrong."""
    head = _HEADER.match(data, start)
    if head is None:
        return _why_no_frame(data, start)
    body, seq, length, crc = head.groups()
    size = int(length, 16)
    if size > MAX_PAYLOAD:
        return "frame length is out of range"
    end = start + HEADER_BYTES + size + 1
    if end > len(data):
        return None
    payload = data[start + HEADER_BYTES : end - 1]
    if zlib.crc32(payload, zlib.crc32(body)) != int(crc, 16) or data[end - 1] != _LINE_END:
        return "frame checksum does not agree"
    return int(seq, 16), payload, end


def _why_no_frame(data: bytes, start: int) -> str | None:
    """Return what is wrong at `start`, where no header is spelled as one; None when it is cut short."""
    header = data[start : start + HEADER_BYTES]
    if not (header.startswith(MAGIC) if len(header) >= len(MAGIC) else MAGIC.startswith(header)):
        return "no frame begins here"
    if len(header) < HEADER_BYTES:
        return None
    try:
        _, length = int(header[3:19], 16), int(header[20:28], 16)
    except ValueError:
        return "frame header is not hexadecimal"
    if not 0 <= length <= MAX_PAYLOAD:
        return "frame length is out of range"
    return None if start + HEADER_BYTES + length + 1 > len(data) else "frame checksum does not agree"


def _group_at(data: bytes, start: int, seq: int, chain: bytes) -> Group | Damage | None:
    """Return the group that begins at `start`, what keeps it from being one, or None: only zeros follow."""
    payloads: list[bytes] = []
    at, length = start, len(data)
    while at < length:
        found = _frame_at(data, at)
        if not isinstance(found, tuple):
            return _why_no_group(data, start, at, found)
        found_seq, payload, end = found
        if found_seq != seq:
            return Damage(at, f"frame {found_seq} where {seq} belongs", False)
        seq += 1
        if payload.startswith(_COMMIT_PREFIX):
            if payload != _commit_payload(len(payloads), chain):
                return Damage(at, "the chain is broken", False)
            return Group(payloads, end, seq, chain)
        payloads.append(payload)
        chain = advance(chain, payload)
        at = end
    return Damage(at, "the last group has no commit", True) if payloads else None


def _why_no_group(data: bytes, start: int, at: int, found: Optional[str]) -> Optional[Damage]:
    """Return why the group at `start` ends at `at`, where what is wrong with the frame was found."""
    if at == start and is_blank(data, start):
        return None
    return Damage(at, found or "the last frame is cut short", found is None)


def is_blank(data: bytes, start: int) -> bool:
    """Tell whether nothing but zeros is from `start` on: laid out by a writer for groups to come."""
    return data.startswith(b"\0", start) and data.count(b"\0", start) == len(data) - start


def ends_with_commit(data: bytes, seq: int, chain: bytes) -> bool:
    """Tell whether these bytes end with the commit frame behind which a log stands at `seq` and `chain`."""
    start = data.rfind(b"\n" + MAGIC, 0, len(data) - 1) + 1
    found = _frame_at(data, start)
    if not isinstance(found, tuple) or found[0] != seq - 1 or found[2] != len(data):
        return False
    return found[1].startswith(_COMMIT_PREFIX) and found[1].endswith(b',"h":"%b"}' % chain.hex().encode())


class GroupReader:
    """Reads committed groups from a log whose bytes arrive piece by piece.

    `offset`, `seq` and `chain` say where the last whole group ended; reading may begin there anew.
    `last` is that group, and `before` are the same three of where it began, None before the first one.
    `damage` says what stopped the last `feed`, None when all bytes that it left are zeros.
    """

    def __init__(self, *, offset: int = 0, seq: int = 0, chain: bytes = GENESIS) -> None:
        self.offset = offset
        self.seq = seq
        self.chain = chain
        self.last: Group | None = None
        self.before: tuple[int, int, bytes] | None = None
        self.damage: Damage | None = None
        self.pending = b""

    def feed(self, data: bytes) -> list[Group]:
        """Return the groups that these further bytes complete."""
        data = self.pending + data
        groups: list[Group] = []
        at, offset = 0, self.offset
        found = _group_at(data, at, self.seq, self.chain)
        while isinstance(found, Group):
            self.last, self.before = found, (offset + at, self.seq, self.chain)
            payloads, at, self.seq, self.chain = found
            groups.append(Group(payloads, offset + at, self.seq, self.chain))
            found = _group_at(data, at, self.seq, self.chain)
        self.damage = found and found._replace(offset=self.offset + found.offset)
        self.pending = data[at:]
        self.offset += at
        return groups


def first_payload(data: bytes) -> bytes | None:
    """Return the payload of the frame that these bytes begin with, None when it is not whole."""
    found = _frame_at(data, 0)
    return found[1] if isinstance(found, tuple) else None


def first_group(data: bytes, seq: int, chain: bytes) -> List[bytes]:
    """Return the payloads of the group that these bytes begin with, none when it is not whole."""
    found = _group_at(data, 0, seq, chain)
    return found.payloads if isinstance(found, Group) else []


class Found(NamedTuple):
    """A group that stands in damaged bytes: every frame whole, in order, up to a commit of their number.

    Its place in the chain is not checked: what came before it may be lost.
    """

    offset: int
    seq: int
    payloads: List[bytes]
    end: int


def recover(data: bytes) -> Iterator[Found]:
    """Yield every group that can still be read from damaged bytes, in order."""
    start = data.find(MAGIC)
    while start >= 0:
        found = _run_at(data, start)
        if found is None:
            start = data.find(MAGIC, start + 1)
            continue
        yield found
        start = data.find(MAGIC, found.end)


def _run_at(data: bytes, start: int) -> Optional[Found]:
    payloads: List[bytes] = []
    first, at = -1, start
    while True:
        found = _frame_at(data, at)
        if not isinstance(found, tuple):
            return None
        seq, payload, at = found
        first = seq if first < 0 else first
        if seq != first + len(payloads):
            return None
        if payload.startswith(_COMMIT_PREFIX):
            whole = payload.startswith(_COMMIT_PREFIX + b'"n":%d,' % len(payloads))
            return Found(start, first, payloads, at) if payloads and whole else None
        payloads.append(payload)


def first_seq(data: bytes) -> Optional[int]:
    """Return the sequence number that these bytes begin with, whether its frame is whole or not."""
    found = _SEQ.match(data)
    return int(found[1], 16) if found else None


def holds_commit(data: bytes) -> bool:
    """Tell whether any whole commit frame stands in these bytes, at whatever offset."""
    start = data.find(MAGIC)
    while start >= 0:
        found = _frame_at(data, start)
        if isinstance(found, tuple) and found[1].startswith(_COMMIT_PREFIX):
            return True
        start = data.find(MAGIC, start + 1)
    return False


def is_torn(data: bytes, offset: int, seq: Optional[int]) -> bool:
    """Tell whether bytes behind the last whole group are one that was never acknowledged, and nothing more.

    `seq` is where that one begins, None at the beginning of a log whose first frame is not there. A power
    cut may leave any of its sectors out, its beginning too, although its commit is there; what is left
    out reads as zeros. Of a sector that was written twice the end alone may be missing. Any other damage
    before a commit, and a commit of a later group, tells that bytes were lost which counted.
    """
    start = data.find(MAGIC)
    while start >= 0:
        found = _frame_at(data, start)
        if isinstance(found, tuple) and found[1].startswith(_COMMIT_PREFIX):
            is_alone = _closes(found, seq) and not holds_commit(data[found[2] :])
            return is_alone and _lacks_sector(data[:start], offset)
        start = data.find(MAGIC, start + 1)
    return True


def _closes(commit: Tuple[int, bytes, int], seq: Optional[int]) -> bool:
    """Tell whether a commit frame closes the group that begins with this sequence number, if known."""
    if seq is None:
        return True
    count = commit[1][len(_COMMIT_PREFIX) :].partition(b'"n":')[2].partition(b",")[0]
    return commit[0] - int(count) == seq


def _lacks_sector(data: bytes, offset: int) -> bool:
    """Tell whether these bytes, from a file's offset on, have zeros in place of a sector or of its end."""
    at = 0
    while at < len(data):
        end = at + SECTOR_BYTES - (offset + at) % SECTOR_BYTES
        if end <= len(data) and data[end - 1] == 0 and 0 not in data[at:end].rstrip(b"\0"):
            return True
        at = end
    return False
