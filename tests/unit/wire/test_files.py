"""The file system behind one door: what each call promises, whoever stands behind it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hsm.wire.files import BLOCK_BYTES, Files, Kind, Name


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path)


def test_names_are_made_listed_and_told_apart(files: Files, root: str) -> None:
    """A directory lists its names in order; a link is told as what it is, and followed where asked."""
    files.make_directory(f"{root}/d")
    files.write_new(f"{root}/b", b"12345")
    files.symlink("b", f"{root}/a")
    files.symlink("d", f"{root}/e")
    files.symlink("nowhere", f"{root}/c")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{root}/s")
    assert files.list(root) == ["a", "b", "c", "d", "e", "s"]
    kinds = [Kind.LINK, Kind.FILE, Kind.LINK, Kind.DIRECTORY, Kind.LINK, Kind.OTHER]
    assert [files.kind(f"{root}/{name}") for name in files.list(root)] == kinds
    assert [files.is_file(f"{root}/{name}") for name in "abcde"] == [True, True, False, False, False]
    assert [files.is_directory(f"{root}/{name}") for name in "abcde"] == [False, False, False, True, True]
    lengths = [0, 5, 0, 0, 0, 0]
    assert sorted(files.scan(root)) == list(map(Name, files.list(root), kinds, lengths))
    assert files.length(f"{root}/a") == 5
    assert files.read_link(f"{root}/a") == "b"
    assert files.resolve(f"{root}/a") == f"{os.path.realpath(root)}/b"
    assert files.exists(f"{root}/c")
    assert (files.kind(f"{root}/x"), files.kind(f"{root}/b/x")) == (None, None)


def test_what_is_not_there_is_told_or_refused(files: Files, root: str) -> None:
    """Logs are read as empty and directories as without matches; all else raises."""
    there_is_none = f"{root}/none"
    assert files.read(there_is_none, 0) == b""
    assert files.matching(there_is_none, ".log") == []
    assert not files.is_file(there_is_none)
    assert not files.is_directory(there_is_none)
    files.remove(there_is_none)
    for act in (files.contents, files.length, files.modified_ns, files.list, files.scan, files.unlink):
        with pytest.raises(FileNotFoundError):
            act(there_is_none)
    with pytest.raises(FileNotFoundError):
        list(files.chunks(there_is_none))
    with pytest.raises(FileNotFoundError):
        files.rename(there_is_none, f"{root}/other")
    with pytest.raises(FileNotFoundError):
        files.write_new(f"{there_is_none}/file", b"")


def test_what_is_there_is_not_made_again(files: Files, root: str) -> None:
    """A file, a directory and a link are each made once; `make_directories` is content with what there is."""
    files.close(files.create(f"{root}/file"))
    files.make_directories(f"{root}/a/b")
    files.make_directories(f"{root}/a/b")
    with pytest.raises(FileExistsError):
        files.create(f"{root}/file")
    with pytest.raises(FileExistsError):
        files.make_directory(f"{root}/a")
    with pytest.raises(FileExistsError):
        files.symlink("a", f"{root}/file")
    with pytest.raises(FileExistsError):
        files.link(f"{root}/file", f"{root}/a")
    with pytest.raises(FileExistsError):
        files.publish(f"{root}/file", b"2", part="mine")
    assert (files.contents(f"{root}/file"), files.list(root)) == (b"", ["a", "file"])


def test_a_rename_takes_the_place_of_what_may_be_lost(files: Files, root: str) -> None:
    """A file takes the place of a file, a directory that of an empty one, and of nothing else."""
    files.write_new(f"{root}/old", b"old")
    files.write_new(f"{root}/new", b"new")
    files.rename(f"{root}/new", f"{root}/old")
    assert files.contents(f"{root}/old") == b"new"
    for name in ("work", "empty", "full/thing"):
        files.make_directories(f"{root}/{name}")
    files.symlink("work", f"{root}/link")
    with pytest.raises(NotADirectoryError):
        files.rename(f"{root}/work", f"{root}/link")
    with pytest.raises(OSError, match="not empty"):
        files.rename(f"{root}/work", f"{root}/full")
    files.rename(f"{root}/work", f"{root}/empty")
    files.remove_tree(f"{root}/full")
    assert files.list(root) == ["empty", "link", "old"]


@pytest.mark.parametrize("count", [0, 1, BLOCK_BYTES, BLOCK_BYTES + 1])
def test_a_file_is_read_whole_in_parts_and_from_within(files: Files, root: str, count: int) -> None:
    """Every way of reading gives the same bytes."""
    data = (b"0123456789" * (count // 10 + 1))[:count]
    files.append(f"{root}/file", data[: count // 2])
    files.append(f"{root}/file", data[count // 2 :])
    assert files.contents(f"{root}/file") == b"".join(files.chunks(f"{root}/file")) == data
    assert files.read(f"{root}/file", 3, 4) == data[3:7]
    assert b"".join(files.chunks(f"{root}/file", 3)) == data[3:]
    assert files.beginning(f"{root}/file", 7) == data[:7]


def test_only_regular_files_are_read_in_parts(files: Files, root: str) -> None:
    """A link of a program's is not followed, its pipe is not waited for, its directory is none of ours."""
    os.mkfifo(f"{root}/pipe")
    files.write_new(f"{root}/file", b"secret")
    files.symlink("file", f"{root}/link")
    for name in ("pipe", "link", "."):
        with pytest.raises(OSError, match=r"not a regular file|symbolic links"):
            files.beginning(f"{root}/{name}", 1)


def test_a_lock_is_held_by_one(files: Files, root: str) -> None:
    """Whoever comes second is refused until the first lets go."""
    held = files.lock(f"{root}/lock")
    with pytest.raises(BlockingIOError):
        files.lock(f"{root}/lock")
    files.close(held)
    files.close(files.lock(f"{root}/lock"))


def test_names_are_found_by_ending_and_by_pattern(files: Files, root: str) -> None:
    """Both come in order."""
    for name in ("b.log", "a.log", "d/c.log", "d/e.txt"):
        files.make_directories(str(Path(root, name).parent))
        files.write_new(f"{root}/{name}", b"")
    assert files.matching(root, ".log") == [f"{root}/a.log", f"{root}/b.log"]
    assert files.glob(root, "**/*.log") == ["a.log", "b.log", "d/c.log"]


@pytest.mark.parametrize("durable", [False, True])
def test_a_draft_that_somebody_else_put_in_place_is_written_again(tmp_path: Path, durable: bool) -> None:
    """Two processes may write one file for a moment, one of them superseded: neither fails for it."""

    class Raced(Files):
        """Another process has the same draft, and is faster once."""

        taken = 0

        def rename(self, source: str, target: str) -> None:
            if not self.taken:
                self.taken += 1
                super().rename(source, target)
            super().rename(source, target)

    Raced().replace(str(tmp_path / "status"), b"new", durable=durable)
    assert (tmp_path / "status").read_bytes() == b"new"
    with pytest.raises(FileNotFoundError):
        Raced().replace(str(tmp_path / "gone" / "status"), b"new", durable=durable)
