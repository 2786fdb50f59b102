"""Disks of our own that can be filled, made read-only, or lose their power. Only root can have them."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.cli_project import until

SIZE_BYTES = {"ext4": 64 << 20, "xfs": 320 << 20}
FORMAT = {"ext4": ["mkfs.ext4", "-q", "-F"], "xfs": ["mkfs.xfs", "-q", "-f"]}
PATH = "/usr/sbin:/sbin:" + os.environ.get("PATH", "")


class PowerlessDisk:
    """A file system in a file, and everybody who has something open on it."""

    def __init__(self, kind: str, image: Path, mount: Path) -> None:
        self.kind = kind
        self.mount = mount
        self._image = image

    def format(self) -> None:
        """Make the file system, empty, and mount it."""
        with self._image.open("wb") as file:
            file.truncate(SIZE_BYTES[self.kind])
        self._call(*FORMAT[self.kind], str(self._image))
        self.mount.mkdir(exist_ok=True)
        self._attach()

    def restart(self, *places: Path) -> None:
        """End every process that works here or in `places`, as a power cut does, and mount what is left."""
        self._end_all(*places)
        self._call("umount", str(self.mount))
        self._attach()

    def remove(self) -> None:
        """Unmount it for good."""
        self._end_all()
        self._call("umount", "-l", str(self.mount))
        self._image.unlink()

    def _attach(self) -> None:
        self._call("mount", "-o", "loop", "-t", self.kind, str(self._image), str(self.mount))

    def users(self, *places: Path) -> list[int]:
        """Return every process that works here or in `places`."""
        return [pid for pid in _processes() if any(_uses(pid, place) for place in (self.mount, *places))]

    def _end_all(self, *places: Path) -> None:
        for pid in self.users(*places):
            _kill(pid)
        until(lambda: not self.users(*places), "the end of all who used the disk")

    def _call(self, *argv: str) -> None:
        program = shutil.which(argv[0], path=PATH)
        assert program is not None, f"{argv[0]} is missing"
        done = subprocess.run([program, *argv[1:]], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"{' '.join(argv)}: {done.stderr}")


def _processes() -> list[int]:
    names = (path.name for path in Path("/proc").iterdir())
    return [int(name) for name in names if name.isdigit() and int(name) != os.getpid()]


def _uses(pid: int, place: Path) -> bool:
    """Tell whether a process was started for this place, works in it, or has something open there."""
    base, prefix = Path(f"/proc/{pid}"), str(place)
    try:
        if (base / "stat").read_text().rpartition(") ")[2][:1] in "ZX":
            return False
        words = (base / "cmdline").read_bytes() + (base / "environ").read_bytes()
        links = [base / "cwd", *(base / "fd").iterdir()]
    except OSError:
        return False
    return prefix.encode() + b"/" in words or any(_target(link).startswith(prefix) for link in links)


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


@contextmanager
def powerless_disk(kind: str, folder: Path) -> Iterator[PowerlessDisk]:
    """Have a disk for a while; skips, loudly, where this machine lets nobody have one."""
    if shutil.which(FORMAT[kind][0], path=PATH) is None:
        pytest.skip(f"NO {kind.upper()}: {FORMAT[kind][0]} is missing, so its power cannot be cut")
    disk = PowerlessDisk(kind, folder / "image", folder / "disk")
    try:
        disk.format()
    except OSError as error:
        pytest.skip(f"NO LOOP MOUNT: power can only be cut where root may mount: {error}")
    try:
        yield disk
    finally:
        disk.remove()


@contextmanager
def small_disk(mount: Path, size: str = "4m") -> Iterator[Path]:
    """Have a small disk in memory; skips, loudly, where nobody may mount one."""
    mount.mkdir(exist_ok=True)
    argv = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)]
    if os.geteuid() != 0 or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("NO MOUNT: a small disk can only be mounted by root")
    try:
        yield mount
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)
