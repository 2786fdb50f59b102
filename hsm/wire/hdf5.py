"""Tell from its first bytes whether an HDF5 file is whole, without any library.

Reads the superblock only, as laid out in the HDF5 File Format Specification 3.0, section II.A.
"""

from __future__ import annotations

from typing import Callable, Optional

SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAD_BYTES = 96
USER_BLOCK_BYTES = 512
_FIELDS_END = 14
_OPEN_FOR_WRITING = 0x01


def read_head(read: Callable[[int], bytes], size: int) -> bytes:
    """Return the head of an HDF5 file, behind a user block of 512, 1024, ... bytes where there is one.

    `read` returns the `HEAD_BYTES` at an offset.
    """
    head, at = read(0), USER_BLOCK_BYTES
    while not head.startswith(SIGNATURE) and at < size:
        head, at = read(at), 2 * at
    return head


def fault(head: bytes, size: int) -> Optional[str]:
    """Return what is wrong with an HDF5 file of `size` bytes that begins with `head`, None when whole."""
    if not head.startswith(SIGNATURE):
        return "it is not an HDF5 file"
    if len(head) < _FIELDS_END:
        return "it ends within its superblock"
    version = head[8]
    if version > 3:
        return f"its superblock version {version} is not known"
    width = head[13] if version < 2 else head[9]
    base_at = {0: 24, 1: 28}.get(version, 12)
    end_at = base_at + 2 * width
    if len(head) < end_at + width:
        return "it ends within its superblock"
    end = int.from_bytes(head[end_at : end_at + width], "little")
    if size < end:
        return f"it is truncated: {size} of {end} bytes"
    if version == 3 and head[11] & _OPEN_FOR_WRITING:
        return "it was not closed by its writer"
    return None
