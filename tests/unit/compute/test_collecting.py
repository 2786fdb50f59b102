"""Collecting over a link: what comes home, what is not sent, and what a cut, a liar or a full disk may do."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import random
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from hsm.compute.link import LinkLost
from hsm.compute.ssh.collecting import JOINED_BYTES, Collecting
from hsm.core.errors import SourceError
from hsm.core.source import Fault, Wanted
from hsm.core.states import Cause
from tests.unit.compute.faraway import Cut, Faraway, Line

AWKWARD = (
    "two words",
    "new\nline",
    "-rf",
    "größe ψ",
    "a\\b",
    "*",
    "UPPER",
    "upper",
    "x.partial",
    "..x",
    "n" * 250,
)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Faraway]:
    found = Faraway(tmp_path)
    yield found
    found.world.close()


def open_files(root: Path) -> list[str]:
    """Return the files below a folder that this process has open, less those of a relay that has ended."""
    gc.collect()
    links = (os.path.realpath(path) for path in Path("/proc/self/fd").iterdir())
    return [path for path in links if path.startswith(str(root))]


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def become_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


ATTEMPT: Mapping[str, bytes] = {
    "stdout.log": b"hello\n",
    "stderr.log": b"",
    "results/deep/er/x.bin": noise(5000),
    "results/big.bin": noise(1_000_000),
    "results/holes.bin": bytes(700_000) + noise(10) + bytes(400_000),
    "results/small-zeros": bytes(1000),
    "results/empty": b"",
    **{f"results/{name}": name.encode() for name in AWKWARD},
}


async def test_an_attempt_comes_home_whole(far: Faraway) -> None:
    """Files small, large, empty, with holes and of awkward names are at home, byte by byte."""
    wanted = far.attempt(ATTEMPT)
    (result,) = await far.fetch(wanted)
    assert result.fault is None
    assert far.fault(wanted) is None
    assert far.names(wanted) == {*ATTEMPT, "provenance.json"}
    assert result.files == len(ATTEMPT)


async def test_many_attempts_come_by_one_call(far: Faraway) -> None:
    """Each with its own files; one whose file is gone has failed, with the reason, and harms no other."""
    every = [far.attempt({"stdout.log": b"%d" % n, "results/x": noise(3000, n)}, n) for n in range(1, 40)]
    (far.host / every[7].directory / "results/x").unlink()
    results = await far.fetch(*every)
    faults = {n: result.fault for n, result in enumerate(results) if result.fault}
    assert faults == {7: Fault(cause=Cause.TRANSFER, reason="results/x: it is no longer there")}
    assert [n for n, one in enumerate(every) if far.fault(one)] == [7]


async def test_zeros_and_empty_files_cost_nothing(far: Faraway) -> None:
    """Neither on the line nor, where holes can be had, on the disk."""
    size = 64 << 20
    wanted = far.attempt({f"results/empty{n}": b"" for n in range(50)})
    with (far.host / wanted.directory / "sparse").open("wb") as file:
        file.truncate(size)
    wanted = far.reported(wanted.directory)
    line = Line()
    (result,) = await far.fetch(wanted, around=line)
    assert (result.fault, far.fault(wanted)) == (None, None)
    assert line.passed < 12_000
    assert (wanted.dest / "sparse").stat().st_blocks * 512 < size // 10


async def test_what_is_at_home_is_not_asked_for(far: Faraway) -> None:
    """Fetched again, nothing is said on the line; fetched where one file is damaged, that one comes."""
    wanted = far.attempt(ATTEMPT)
    await far.fetch(wanted)
    line = Line()
    (again,) = await far.fetch(wanted, around=line)
    assert (again.fault, again.files, again.bytes) == (None, 0, 0)
    assert line.passed < 100, "the greeting"
    (wanted.dest / "results/big.bin").write_bytes(b"damaged")
    (third,) = await far.fetch(wanted)
    assert (third.fault, third.files, third.bytes) == (None, 1, 1_000_000)
    assert far.fault(wanted) is None


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
async def test_a_cut_transfer_goes_on_where_it_was(far: Faraway, share: float) -> None:
    """What came stays; the next manager asks for the rest, and little comes twice."""
    wanted = far.attempt({**ATTEMPT, "results/huge.bin": noise(8 << 20)})
    size = sum(map(len, ATTEMPT.values())) + (8 << 20)
    with pytest.raises(LinkLost):
        await far.fetch(wanted, around=lambda reader: Cut(reader, int(share * size)))
    (result,) = await far.fetch(wanted)
    assert (result.fault, far.fault(wanted)) == (None, None)
    assert result.bytes < (1.05 - share) * size
    assert not [name for name in far.names(wanted) if name.endswith("huge.bin.partial")]


async def cut_at_random(far: Faraway, cuts: int) -> None:
    """Fetch attempts over links that are cut at random bytes, until that has happened so often.

    Raises:
        AssertionError: a file has its name that is not whole, or an attempt did not come home in the end.
    """
    rng, number = random.Random(1), 0
    while cuts > 0:
        number += 1
        files = {f"results/{n}": noise(rng.randrange(400_000), n) for n in range(rng.randrange(4))}
        files |= {"stdout.log": noise(rng.randrange(9000), number), "results/a": noise(100, number)}
        wanted = far.attempt(files, number)
        for _ in range(8):
            try:
                (result,) = await far.fetch(wanted, around=lambda r: Cut(r, rng.randrange(60, 700_000)))
            except LinkLost:
                cuts -= 1
                files.pop("stdout.log", None)  # it is read while it grows
                assert not [path for path, data in files.items() if is_other(wanted.dest / path, data)]
            else:
                break
        else:
            (result,) = await far.fetch(wanted)
        assert result.fault is None
        assert far.fault(wanted) is None


def is_other(path: Path, data: bytes) -> bool:
    """Tell whether there is a file and it holds anything else."""
    return path.exists() and path.read_bytes() != data


async def test_cuts_at_random_bytes(far: Faraway) -> None:
    """Never does a file have its name that is not whole, and in the end all is at home."""
    await cut_at_random(far, 40)


async def test_a_damaged_byte_is_noticed_and_sent_again(far: Faraway) -> None:
    """Bytes that are not what the manifest tells are asked for once more."""
    wanted = far.attempt(ATTEMPT)
    (result,) = await far.fetch(wanted, around=lambda reader: Cut(reader, flip_at=900_000))
    assert (result.fault, far.fault(wanted)) == (None, None)
    sent = sum(len(data) for data in ATTEMPT.values() if data.strip(b"\0"))
    assert result.bytes > sent, "some of it came twice"


async def test_a_damaged_byte_anywhere_seals_nothing_wrong(far: Faraway) -> None:
    """In a head or in a body: the bytes come again, the link is lost, or the attempt has failed."""
    wanted = far.attempt({"results/a": noise(3000), "results/b": noise(90_000), "stdout.log": b"hello"})
    rng, came = random.Random(2), 0
    for flip_at in [*range(30, 60), *(rng.randrange(60, 95_000) for _ in range(30))]:
        try:
            (result,) = await far.fetch(wanted, around=lambda r: Cut(r, flip_at=flip_at), limit_s=0.5)  # noqa: B023
        except (SourceError, TimeoutError):
            continue
        if result.fault is None:
            came += 1
            assert far.fault(wanted) is None
        far.world.files.remove_tree(str(wanted.dest))
    assert came > 20


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda path: path.write_bytes(noise(1_000_000, 9)), "its content is not what its manifest says"),
        (lambda path: os.truncate(path, 1000), "only 1000 bytes of it are left"),
        (lambda path: path.unlink(), "it is no longer there"),
        (lambda path: (path.unlink(), path.symlink_to("/etc/passwd")), "Too many levels of symbolic links"),
        (become_fifo, "not a regular file"),
        (lambda path: (path.unlink(), path.mkdir()), "not a regular file"),
    ],
    ids=["changed", "truncated", "gone", "link", "fifo", "folder"],
)
@pytest.mark.parametrize("name", ["big.bin", "deep/er/x.bin"])
async def test_a_file_that_is_no_longer_what_it_was(
    far: Faraway, change: Callable[[Path], object], reason: str, name: str
) -> None:
    """The attempt has failed with the cause `transfer` and the file's name; the rest of it is at home."""
    wanted = far.attempt(ATTEMPT)
    path = far.host / wanted.directory / "results" / name
    if path.stat().st_size < 10_000 and "content" in reason:
        path.write_bytes(noise(5000, 9))
    else:
        change(path)
    (result,) = await far.fetch(wanted)
    assert result.fault == Fault(cause=Cause.TRANSFER, reason=f"results/{name}: {reason}")
    assert far.names(wanted) == {*ATTEMPT, "provenance.json"} - {f"results/{name}"} | (
        {"results/big.bin.partial"} if name == "big.bin" and "only" in reason else set()
    )


async def test_a_file_that_has_grown_since_is_what_it_was(far: Faraway) -> None:
    """What a daemon appended after the end is not in the manifest and does not come."""
    wanted = far.attempt(ATTEMPT)
    for name in ("results/big.bin", "stdout.log"):
        with (far.host / wanted.directory / name).open("ab") as file:
            file.write(b"more")
    (result,) = await far.fetch(wanted)
    assert (result.fault, far.fault(wanted)) == (None, None)


async def test_another_report_than_that_of_the_exit_record_is_none(far: Faraway) -> None:
    """A report that was replaced, or is gone, is a fault and nothing else comes."""
    wanted = far.attempt(ATTEMPT)
    report = far.host / wanted.directory / "provenance.json"
    report.write_text("{}")
    (result,) = await far.fetch(wanted)
    reason = "provenance.json: it is not the one of the exit record"
    assert result.fault == Fault(cause=Cause.TRANSFER, reason=reason)
    report.unlink()
    (result,) = await far.fetch(wanted)
    assert result.fault == Fault(cause=Cause.TRANSFER, reason="provenance.json: it is no longer there")
    assert far.names(wanted) == set()


async def test_a_full_disk_at_home_is_an_error_before_it_is_full(
    far: Faraway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No more comes than is free less a reserve; what came stays, and the rest comes when there is room."""
    wanted = far.attempt({"results/a": noise(3000), "results/big.bin": noise(8 << 20)})
    monkeypatch.setattr("hsm.compute.ssh.landing.Room.step_bytes", 1 << 16)
    used = 0
    free = (16 << 20) + (3 << 20)

    def free_bytes(path: str) -> int:
        return free - sum(file.stat().st_size for file in far.home.rglob("*") if file.is_file())

    monkeypatch.setattr(far.world.files, "free_bytes", free_bytes)
    with pytest.raises(OSError, match="No space left") as full:
        await far.fetch(wanted)
    assert full.value.errno == errno.ENOSPC
    used = sum(file.stat().st_size for file in far.home.rglob("*") if file.is_file())
    assert (3 << 20) - JOINED_BYTES < used <= 3 << 20
    free += 16 << 20
    (result,) = await far.fetch(wanted)
    assert (result.fault, far.fault(wanted)) == (None, None)
    assert result.bytes < (8 << 20) - (1 << 20)


async def test_a_fetch_may_be_broken_off_at_any_time(far: Faraway) -> None:
    """Cancelled in the middle, nothing is left open, and the link serves the next call."""
    wanted = far.attempt({f"results/{n}": noise(2 << 20, n) for n in range(8)})
    other = far.attempt(ATTEMPT, 2)
    async with far.link() as link:
        collecting = Collecting(far.world, link, far.home)
        for pause in (0.001, 0.01, 0.03):
            try:
                async with asyncio.timeout(pause):
                    await collecting.fetch([wanted])
            except TimeoutError:
                continue
        result = (await collecting.fetch([other]))[other.ref]
        assert (result.fault, far.fault(other)) == (None, None)
        result = (await collecting.fetch([wanted]))[wanted.ref]
        assert (result.fault, far.fault(wanted)) == (None, None)
    assert open_files(far.home.parent.parent) == []


def test_the_wanted_of_an_attempt_without_a_report_is_nothing(far: Faraway) -> None:
    """An attempt whose report could not be written, or that leaves no files, is not asked for."""
    bare = Wanted(ref="r", directory=".hsm/work/x", report=None, dest=far.home / "x")

    (result,) = asyncio.run(far.fetch(bare))
    assert (result.fault, result.files) == (None, 0)
