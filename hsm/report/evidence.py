"""Reading what tasks left behind, trusting none of it: sizes, kinds and places of files are checked."""

from __future__ import annotations

import json
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

from hsm.report.compact import compact

PROVENANCE_BYTES = 1 << 18
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The last lines of a log; `size_bytes` is the size of the whole log."""

    lines: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A PNG file of a task as the page shows it, of a `kind` that browsers know.

    `path` is relative to the sweep's directory.
    """

    path: str
    data: bytes
    width: int
    height: int
    kind: str = "png"


def read_inside(root: Path, path: Path, *, last_bytes: int) -> tuple[bytes, int] | None:
    """Return the last bytes of a regular file and its size; None if there is no such file inside `root`.

    Links are followed only as far as they stay inside `root`; pipes and devices are never waited for.
    """
    try:
        real = path.resolve(strict=True)
        if not (real.is_relative_to(root.resolve(strict=True)) and real.is_file()):
            return None
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, RuntimeError, ValueError):  # absent, unreadable, a loop of links, a NUL in the name
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        file.seek(max(0, status.st_size - last_bytes))
        return file.read(last_bytes), status.st_size


def read_tail(root: Path, path: Path, *, last_bytes: int, last_lines: int) -> LogTail | None:
    """Return the end of a log; None if there is none, or nothing in it."""
    found = read_inside(root, path, last_bytes=last_bytes)
    if found is None or not found[0].strip():
        return None
    data, whole = found
    # A carriage return alone redraws a line (progress bars): each drawing gets a line of its own.
    text = data.decode("utf-8", "backslashreplace").replace("\r\n", "\n").replace("\r", "\\r\n")
    lines = text.rstrip("\n").split("\n")
    if whole > len(data):
        lines[0] = f"…{lines[0]}"
    return LogTail(lines=tuple(lines[-last_lines:]), size_bytes=whole)


def read_host(root: Path, place: str) -> str:
    """Return the name of the machine in the provenance report of a task's folder, nothing if it has none."""
    found = read_inside(root, root / place / "provenance.json", last_bytes=PROVENANCE_BYTES)
    if found is None or found[1] > PROVENANCE_BYTES:
        return ""
    try:
        content = json.loads(found[0])
        name = content["host"]["name"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return name[:200] if isinstance(name, str) else ""


def read_picture(root: Path, path: Path, *, most_bytes: int, most_pixels: int) -> Picture | None:
    """Return a PNG file; None if it is too large, damaged at its head, or no PNG at all."""
    found = read_inside(root, path, last_bytes=most_bytes)
    if found is None or found[1] > most_bytes:
        return None
    data = found[0]
    if len(data) < 33 or not data.startswith(PNG_MAGIC) or data[12:16] != b"IHDR":
        return None
    width, height = struct.unpack(">II", data[16:24])
    if not 0 < width * height <= most_pixels:
        return None
    place = path.relative_to(root).as_posix()
    if (small := compact(data)) is not None:
        data, kind, (width, height) = small
        return Picture(path=place, data=data, width=width, height=height, kind=kind)
    return Picture(path=place, data=data, width=width, height=height)


def list_pictures(root: Path, place: str) -> list[Path]:
    """Return the PNG files of the folder `place` inside `root`, by name."""
    try:
        folder = f"{root}/{place}"
        # Most tasks of a large sweep have no pictures, so only those that have pay for paths.
        names = sorted(name for name in os.listdir(folder) if name.endswith(".png"))  # noqa: PTH208
        if not names or not Path(folder).resolve(strict=True).is_relative_to(root.resolve(strict=True)):
            return []
        return [Path(folder, name) for name in names]
    except (OSError, RuntimeError):
        return []
