"""The simulated disk: what a power cut keeps, and what goes wrong with an act."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

import pytest

from hsm.sim.contents import Contents, Hazards
from hsm.sim.disk import Disk
from hsm.sim.files import SimFiles
from hsm.sim.inode import Keep
from hsm.sim.process import Killed, SimProcess
from hsm.sim.trace import Trace
from hsm.wire.files import Files

SEEDS = range(60)


class Lab:
    """One disk and the process that writes to it."""

    def __init__(self, seed: int = 0, hazards: Hazards | None = None) -> None:
        self.rng = Random(seed)
        self.trace = Trace()
        self.disk = Disk(self.trace)
        self.process = SimProcess(name="p", pid=1, start="1")
        self.files = self.again(hazards)
        self.files.make_directory("/d")
        self.files.sync_directory("/d")

    def again(self, hazards: Hazards | None = None) -> SimFiles:
        self.process = SimProcess(name="p", pid=1, start="1")
        return SimFiles({"/": self.disk}, self.process, trace=self.trace, rng=self.rng, hazards=hazards)

    def file(self, path: str, data: bytes, *, synced: bool) -> None:
        fd = self.files.create(path)
        self.files.write(fd, data)
        if synced:
            self.files.datasync(fd)
        self.files.close(fd)

    def cut(self) -> dict[str, bytes]:
        self.disk.cut_power(self.rng)
        files = self.again()
        return {name: files.read(f"/d/{name}", 0) for name in files.list("/d") if files.is_file(f"/d/{name}")}


def outcomes(work: Callable[[Lab], None]) -> list[dict[str, bytes]]:
    """Return what power cuts of many seeds leave of the same work."""
    found = []
    for seed in SEEDS:
        lab = Lab(seed)
        work(lab)
        found.append(lab.cut())
    return found


def test_synced_content_with_a_synced_name_survives_every_cut() -> None:
    """A file is safe once it and its directory were synced."""

    def work(lab: Lab) -> None:
        lab.file("/d/a", b"x" * 2000, synced=True)
        lab.files.sync_directory("/d")

    assert all(left == {"a": b"x" * 2000} for left in outcomes(work))


def test_a_name_that_was_not_synced_may_be_lost_or_kept() -> None:
    """Content alone is not enough: the name needs its directory."""
    left = outcomes(lambda lab: lab.file("/d/a", b"x", synced=True))
    assert {tuple(found) for found in left} == {(), ("a",)}


def test_a_sector_is_as_it_was_at_one_moment() -> None:
    """Two writes into one sector: the second is never there without the first."""

    def work(lab: Lab) -> None:
        fd = lab.files.create("/d/a")
        lab.files.sync_directory("/d")
        lab.files.write(fd, b"x" * 100)
        lab.files.write(fd, b"y" * 100)
        lab.files.close(fd)

    left = {found["a"] for found in outcomes(work)}
    assert {b"x" * 100, b"x" * 100 + b"y" * 100} < left
    assert not any(data.startswith(bytes(100)) for data in left)


def test_content_that_was_not_synced_may_be_lost_torn_or_kept() -> None:
    """A cut keeps none, all, a beginning or single sectors of what was written."""

    def work(lab: Lab) -> None:
        lab.file("/d/a", b"", synced=True)
        lab.files.sync_directory("/d")
        fd = lab.files.open_append("/d/a")
        for letter in b"abc":
            lab.files.write(fd, bytes([letter]) * 1024)

    contents = {left["a"] for left in outcomes(work)}
    whole = b"a" * 1024 + b"b" * 1024 + b"c" * 1024
    assert {b"", b"a" * 1024, whole} <= contents
    assert any(b"\0" * 512 in content for content in contents)


def test_a_rename_has_happened_or_has_not() -> None:
    """Never both names, never neither."""

    def work(lab: Lab) -> None:
        lab.file("/d/old", b"1", synced=True)
        lab.files.sync_directory("/d")
        lab.files.rename("/d/old", "/d/new")

    assert {tuple(left) for left in outcomes(work)} == {("old",), ("new",)}


def test_a_directory_is_reached_once_one_inside_it_was_synced() -> None:
    """Syncing a directory makes the names above it durable too."""
    for seed in SEEDS:
        lab = Lab(seed)
        lab.files.make_directories("/d/e/f")
        lab.files.sync_directory("/d/e/f")
        lab.disk.cut_power(lab.rng)
        assert lab.again().is_directory("/d/e/f")


def test_syncing_the_file_system_makes_everything_durable() -> None:
    """It covers names and contents."""

    def work(lab: Lab) -> None:
        lab.file("/d/a", b"x" * 700, synced=False)
        lab.files.make_directory("/d/e")
        lab.files.symlink("a", "/d/l")
        lab.files.sync_filesystem("/d")

    for left in outcomes(work):
        assert left["a"] == b"x" * 700
        assert left["l"] == left["a"]


def test_after_a_failed_sync_the_pages_count_as_clean() -> None:
    """The next sync claims success for bytes that never reach the disk."""

    class Failing(Hazards):
        fails = True

        def before(self, process: SimProcess, kind: str, path: str) -> None:
            if kind == "fsync" and self.fails:
                self.fails = False
                raise OSError(errno.EIO, "Input/output error", path)

    lab = Lab(1, Failing())
    fd = lab.files.create("/d/a")
    lab.files.sync_directory("/d")
    lab.files.write(fd, b"lost")
    with pytest.raises(OSError, match="Input"):
        lab.files.datasync(fd)
    lab.files.datasync(fd)
    assert lab.files.read("/d/a", 0) == b"lost"
    assert lab.cut() == {"a": b""}


def test_a_full_disk_writes_short_first() -> None:
    """What fits is written; then there is an error, for new names too."""
    lab = Lab()
    fd = lab.files.create("/d/a")
    lab.disk.room = 3
    assert lab.files.write(fd, b"12345") == 3
    for act in (lambda: lab.files.write(fd, b"4"), lambda: lab.files.make_directory("/d/x")):
        with pytest.raises(OSError, match="No space") as failed:
            act()
        assert failed.value.errno == errno.ENOSPC


def test_a_process_dies_at_its_nth_act() -> None:
    """A write that kills is written in part; afterwards nothing of the process works."""
    written = set()
    for seed in SEEDS:
        lab = Lab(seed)
        fd = lab.files.create("/d/a")
        lab.process.kill_in = 2
        lab.files.write(fd, b"x" * 100)
        with pytest.raises(Killed):
            lab.files.write(fd, b"y" * 100)
        with pytest.raises(Killed):
            lab.files.close(fd)
        written.add(lab.again().read("/d/a", 0).count(b"y"))
    assert 0 in written
    assert len(written) > 10


def test_links_are_followed_or_not_as_asked() -> None:
    """Symbolic links lead where they should, chunks of one are refused."""
    lab = Lab()
    lab.files.make_directory("/d/work")
    lab.file("/d/work/a", b"1", synced=False)
    lab.files.symlink("work", "/d/l")
    assert lab.files.read("/d/l/a", 0) == b"1"
    assert lab.files.is_directory("/d/l")
    assert lab.files.read_link("/d/l") == "work"
    with pytest.raises(IsADirectoryError):
        lab.files.unlink("/d/work")
    lab.files.symlink("work/a", "/d/m")
    with pytest.raises(OSError, match="symbolic"):
        next(lab.files.chunks("/d/m"))


def test_every_kind_of_cut_is_drawn() -> None:
    """No way of losing things is left out."""
    said = {Lab(seed).disk.cut_power(Random(seed)) for seed in range(200)}
    assert said == {f"names:{names} contents:{contents}" for names in Keep for contents in Keep}


def test_no_act_passes_by_the_simulated_disk() -> None:
    """Every method of Files is either simulated, or made of others that are."""
    made_of_others = {"beginning", "exists", "matching", "publish", "remove", "replace"}
    real = {name for name in vars(Files) if not name.startswith("_")}
    assert real - set(vars(SimFiles)) - set(vars(Contents)) <= made_of_others
    assert made_of_others <= real


def test_reserved_room_is_given_back_with_its_file() -> None:
    """A file that only takes up room gives it back when it is removed, also on a disk that has filled up."""
    lab = Lab()
    lab.files.allocate("/d/reserve", 1000)
    lab.disk.room = 0
    with pytest.raises(OSError, match="No space"):
        lab.file("/d/a", b"x", synced=False)
    lab.files.unlink("/d/reserve")
    lab.file("/d/a", b"x", synced=False)
    assert lab.disk.room == 999


def test_what_was_in_a_folder_that_moved_is_found_where_it_is_now() -> None:
    """Folders that were found once are looked for anew when one of them moves, goes, or is a link no more."""
    lab = Lab()
    lab.files.make_directories("/d/a/b")
    lab.file("/d/a/b/f", b"1", synced=False)
    lab.files.symlink("a", "/d/l")
    assert lab.files.read("/d/l/b/f", 0) == lab.files.read("/d/a/b/f", 0) == b"1"
    lab.files.rename("/d/a", "/d/c")
    assert lab.files.read("/d/c/b/f", 0) == b"1"
    assert lab.files.read("/d/a/b/f", 0) == lab.files.read("/d/l/b/f", 0) == b""
    lab.files.make_directories("/d/a/b")
    assert not lab.files.is_file("/d/a/b/f")
    lab.files.unlink("/d/l")
    assert not lab.files.is_directory("/d/l/b")
    lab.files.remove_tree("/d/c")
    assert not lab.files.is_file("/d/c/b/f")
