"""Probes of the file system that sweeps are kept on: everything that the ledger and the collector rely on.

They work in a directory of their own, which is gone afterwards.
"""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from hsm.cli.doctor.findings import Finding, found, judged
from hsm.core.world import World

AREA = "file system"
SLOW_SYNC_S = 0.05
SKEW_WARN_S, SKEW_FAIL_S = 2.0, 60.0
LOW_BYTES, MIN_BYTES = 5 << 30, 256 << 20
LOW_INODES, MIN_INODES = 100_000, 1_000
GRANULE_NS = 1_000_000_000

VOLATILE = ("tmpfs", "ramfs", "overlay")
NETWORK = ("nfs", "nfs4", "lustre", "gpfs", "beegfs", "cifs", "smb3", "ceph", "9p")
ELSEWHERE = "set `outputs` in hsm.yaml to a directory on another file system"


@dataclass(frozen=True, slots=True)
class Room:
    """A directory of its own in which things are tried."""

    folder: Path
    world: World


Answer: TypeAlias = "tuple[str, str, str]"
"""What was seen; the fix of a failure; the fix of a warning. Both are empty where all is well."""
_Check: TypeAlias = "Callable[[Room], Answer]"


def probe(world: World, outputs: Path) -> Iterator[Finding]:
    """Yield a finding for each thing that sweeps in this directory rely on."""
    place = existing(outputs)
    try:
        made = tempfile.TemporaryDirectory(prefix=".hsm-doctor-", dir=place)
    except OSError as error:
        fix = f"make {place} writable, or {ELSEWHERE}"
        yield judged(AREA, "writable", f"{place}: {error.strerror}", fail=fix)
        return
    with made as folder:
        yield found(AREA, "writable", str(place))
        yield from _mounted(place)
        for name, check in _CHECKS.items():
            yield _checked(name, check, Room(Path(folder), world))
    yield from _space(place)


def existing(path: Path) -> Path:
    """Return the nearest directory upwards that is there."""
    return next(folder for folder in (path, *path.parents) if folder.is_dir())


def _checked(name: str, check: _Check, room: Room) -> Finding:
    try:
        detail, fail, warn = check(room)
    except OSError as error:
        detail, fail, warn = f"{error.strerror or error}", f"sweeps need it: {ELSEWHERE}", ""
    return judged(AREA, name, detail, fail=fail, warn=warn)


def _exclusive(room: Room) -> Answer:
    path = room.folder / "exclusive"
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return "a second O_EXCL is refused", "", ""
    return "two processes may create one file", f"two engines could run one sweep: {ELSEWHERE}", ""


def _rename(room: Room) -> Answer:
    """Replace a file that is open: the old reader keeps the old content, the name has the new."""
    old, new = room.folder / "renamed", room.folder / "draft"
    old.write_bytes(b"old")
    new.write_bytes(b"new")
    with old.open("rb") as reader:
        new.replace(old)
        is_whole = (reader.read(), old.read_bytes(), new.exists()) == (b"old", b"new", False)
    full = room.folder / "full"
    full.mkdir()
    (room.folder / "other").mkdir()
    (room.folder / "other").rename(full / "inside")
    if is_whole and (full / "inside").is_dir():
        return "replaces a file whole, moves directories", "", ""
    return "a rename is not atomic", f"results could be half: {ELSEWHERE}", ""


def _sync(room: Room) -> Answer:
    took = []
    with (room.folder / "synced").open("wb") as file:
        for _ in range(3):
            file.write(b"x" * 4096)
            file.flush()
            began = room.world.monotonic()
            os.fdatasync(file.fileno())
            took.append(room.world.monotonic() - began)
    middle = sorted(took)[1]
    slow = "every group of events waits for it; a local disk is quicker" if middle > SLOW_SYNC_S else ""
    return f"{middle * 1000:.1f} ms for a write to be durable", "", slow


def _sync_directory(room: Room) -> Answer:
    descriptor = os.open(room.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
        return "not supported", "", f"after a power cut a new file may lack its name; {ELSEWHERE}"
    finally:
        os.close(descriptor)
    return "a new name can be made durable", "", ""


def _flock(room: Room) -> Answer:
    path = room.folder / "locked"
    with path.open("wb") as one, path.open("wb") as other:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "a second holder is refused", "", ""
    return "two processes may hold one lock", f"two agents could run one source: {ELSEWHERE}", ""


def _granularity(room: Room) -> Answer:
    path = room.folder / "stamped"
    path.write_bytes(b"")
    os.utime(path, ns=(1_234_567_891, 1_234_567_891))
    kept = path.stat().st_mtime_ns
    lost = abs(1_234_567_891 - kept)
    coarse = "sweeps of one second may be listed in any order" if lost >= GRANULE_NS // 10 else ""
    return ("nanoseconds" if not lost else f"times are kept to about {lost / 1e9:.0e} s"), "", coarse


def _clock(room: Room) -> Answer:
    """Compare the file system's clock with this machine's."""
    before = room.world.now()
    path = room.folder / "touched"
    path.write_bytes(b"x")
    at = path.stat().st_mtime
    skew = min((at - before, at - room.world.now()), key=abs) if not before <= at <= room.world.now() else 0.0
    detail = f"{skew:+.2f} s from this machine's" if abs(skew) >= 0.1 else "agrees with this machine's"
    fix = "let this machine and the file server set their clocks by NTP"
    return detail, fix if abs(skew) > SKEW_FAIL_S else "", fix if abs(skew) > SKEW_WARN_S else ""


def _links(room: Room) -> Answer:
    (room.folder / "original").write_bytes(b"x")
    try:
        os.link(room.folder / "original", room.folder / "linked")
    except OSError as error:
        return f"not possible: {error.strerror}", "", "HSM copies instead, which takes time and room"
    return "possible", "", ""


def _symlinks(room: Room) -> Answer:
    (room.folder / "pointer").symlink_to("target")
    is_kept = os.readlink(room.folder / "pointer") == "target"  # noqa: PTH115 - the very text is compared
    return "possible", "" if is_kept else f"running tasks are found through them: {ELSEWHERE}", ""


def _case(room: Room) -> Answer:
    (room.folder / "Case").write_bytes(b"")
    if (room.folder / "case").exists():
        return "A and a are one name", "", "artifacts whose names differ only so overwrite each other"
    return "A and a are two names", "", ""


def _names(room: Room) -> Answer:
    name = "n" * 240 + "é"
    (room.folder / name).write_bytes(b"")
    is_kept = name in os.listdir(room.folder)  # noqa: PTH208 - the very text is compared
    return "long and beyond ASCII", "", "" if is_kept else "file names beyond ASCII come back changed"


def _modes(room: Room) -> Answer:
    path = room.folder / "private"
    path.write_bytes(b"")
    path.chmod(0o700)
    is_kept = path.stat().st_mode & 0o777 == 0o700
    return "are kept" if is_kept else "are not kept", "", "" if is_kept else "scripts may not be executable"


_CHECKS: Mapping[str, _Check] = {
    "O_EXCL": _exclusive,
    "rename": _rename,
    "fsync": _sync,
    "fsync of directories": _sync_directory,
    "flock": _flock,
    "time stamps": _granularity,
    "clock": _clock,
    "hard links": _links,
    "symbolic links": _symlinks,
    "letter case": _case,
    "names": _names,
    "permissions": _modes,
}


def _space(place: Path) -> Iterator[Finding]:
    numbers = os.statvfs(place)
    free = numbers.f_bavail * numbers.f_frsize
    fix = f"delete what is not needed, or {ELSEWHERE}"
    detail = f"{free / (1 << 30):.1f} GiB free"
    yield judged(
        AREA, "space", detail, fail=fix if free < MIN_BYTES else "", warn=fix if free < LOW_BYTES else ""
    )
    if not numbers.f_files:
        yield found(AREA, "inodes", "not limited")
        return
    left = numbers.f_favail
    yield judged(
        AREA,
        "inodes",
        f"{left:,} free; a task takes about ten",
        fail=fix if left < MIN_INODES else "",
        warn=fix if left < LOW_INODES else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """Where a directory is mounted from: type of file system and options."""

    kind: str
    options: Sequence[str]


def _mounted(place: Path) -> Iterator[Finding]:
    try:
        text = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    mount = mount_of(place.resolve(), text)
    if mount is not None:
        yield verdict(mount)


def mount_of(place: Path, mountinfo: str) -> Mount | None:
    """Return the mount that holds a directory, from the text of `/proc/self/mountinfo`."""
    best: tuple[int, Mount] | None = None
    for line in mountinfo.splitlines():
        head, _, tail = line.partition(" - ")
        before, after = head.split(" "), tail.split(" ")
        if len(before) < 6 or len(after) < 3:
            continue
        point = before[4].replace("\\040", " ")
        if place.is_relative_to(point) and (best is None or len(point) >= best[0]):
            options = (*before[5].split(","), *after[2].split(","))
            best = len(point), Mount(kind=after[0], options=options)
    return best[1] if best else None


def verdict(mount: Mount) -> Finding:
    """Return what a type of file system and its options mean for sweeps."""
    kind, options = mount.kind, mount.options
    if kind.startswith("fuse.") and any(
        word in kind for word in ("drive", "dropbox", "onedrive", "rclone", "s3")
    ):
        return judged(AREA, "type", f"{kind}, a cloud folder", fail=f"it reorders writes: {ELSEWHERE}")
    if kind in NETWORK and "soft" in options:
        fix = f"a soft mount loses writes silently: ask for a hard mount, or {ELSEWHERE}"
        return judged(AREA, "type", f"{kind}, mounted soft", fail=fix)
    loose = [
        word for word in ("nolock", "localflock", "local_lock=all", "local_lock=flock") if word in options
    ]
    if loose:
        fix = "locks hold on one host only: do not run two agents of one source on two hosts"
        return judged(AREA, "type", f"{kind}, {', '.join(loose)}", warn=fix)
    if kind in VOLATILE:
        return judged(
            AREA, "type", kind, warn=f"it may be gone after a restart; for results that matter {ELSEWHERE}"
        )
    return found(AREA, "type", kind)
