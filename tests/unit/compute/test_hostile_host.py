"""A host that lies: nothing is written outside of the attempt's directory, and nothing hangs or fills."""

from __future__ import annotations

import asyncio
import itertools
import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from hsm.compute.agent.relay import Answer, Service
from hsm.compute.ssh.collecting import Collecting
from hsm.compute.ssh.landing import Limits
from hsm.core.errors import SourceError
from hsm.core.source import CollectionResult, Wanted
from hsm.core.states import Cause
from hsm.wire.link import Packet
from hsm.wire.manifest import REPORT
from tests.unit.compute.faraway import Faraway, relayed
from tests.unit.compute.test_live_view import DIRECTORY, until, viewing

DATA = b"data"
DIGEST = sha256(DATA).hexdigest()


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Faraway]:
    found = Faraway(tmp_path)
    yield found
    found.world.close()


class Liar(Service):
    """Answers what a test tells, and pushes when it is asked to show."""

    def __init__(self, *said: Packet, pushed: tuple[Packet, ...] = (), endless: Packet | None = None) -> None:
        self._said = said
        self._pushed = pushed
        self._endless = endless

    def answers(self) -> dict[str, Answer]:
        return {"attempts": self._attempts, "watch": self._watch, "unwatch": lambda _: None}

    def _attempts(self, _: Packet) -> Iterator[Packet]:
        yield from self._said
        if self._endless is not None:
            yield from itertools.repeat(self._endless)

    def _watch(self, _: Packet) -> None:
        for packet in self._pushed:
            self.send(packet)


def pieces(*said: tuple[int, int, int, int] | Any, body: bytes = b"") -> Packet:
    return Packet("pieces", 0, {"pieces": list(said)}, body)


def report_of(*artifacts: Any) -> bytes:
    return json.dumps({"artifacts": [{"path": p, "size": s, "sha256": d} for p, s, d in artifacts]}).encode()


def lie(report: bytes, *said: Packet) -> list[Packet]:
    """Return what a host says that begins with this report."""
    return [pieces((0, -1, 0, len(report)), body=report), *said]


async def fetched(
    far: Faraway, liar: Liar, report: bytes, limits: Limits | None = None, slow_s: float = 60.0
) -> CollectionResult:
    wanted = Wanted(
        ref="r",
        directory=DIRECTORY,
        report=sha256(report).hexdigest(),
        dest=far.home / DIRECTORY,
    )
    async with asyncio.timeout(20), relayed([liar]) as link:
        collecting = Collecting(far.world, link, far.home, limits=limits, silence_s=0.3, slow_s=slow_s)
        return (await collecting.fetch([wanted]))["r"]


def written(far: Faraway) -> set[str]:
    """Return every file that is anywhere around."""
    root = far.home.parent.parent
    return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}


NAMES = (
    "../x",
    "../../../../escape",
    "/etc/hsm-escape",
    "a/../../x",
    "results/../../x",
    "./x",
    "a//b",
    "a/",
    "",
    ".",
    "..",
    "nul\0byte",
    "n" * 256,
    "d/" * 400 + "x",
    "d/" * 70 + "x",
    "p" * 4096,
    "lone \ud800",
    "provenance.json",
    "provenance.json/x",
    "status.yaml",
)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:20])
async def test_a_manifest_with_a_name_that_leads_elsewhere_is_refused(far: Faraway, name: str) -> None:
    """Its attempt has failed with the cause `protocol`, and nothing of it is written."""
    report = report_of(("fine", 4, DIGEST), (name, 4, DIGEST))
    said = lie(report, pieces((0, 0, 0, 4), (0, 1, 0, 4), body=DATA * 2))
    result = await fetched(far, Liar(*said), report)
    assert result.fault is not None
    assert result.fault.cause is Cause.PROTOCOL
    assert ascii(name[:200]) in result.fault.reason
    assert written(far) == set()


MANIFESTS: dict[str, bytes] = {
    "listed twice": report_of(("a", 4, DIGEST), ("a", 4, DIGEST)),
    "a file and a folder": report_of(("a", 4, DIGEST), ("a/b", 4, DIGEST)),
    "a negative size": report_of(("a", -1, DIGEST)),
    "a size that is none": report_of(("a", 1e300, DIGEST)),
    "a size of 2^63": report_of(("a", 2**63, DIGEST)),
    "a digest that is none": report_of(("a", 4, "md5:" + "0" * 60)),
    "too many files": report_of(*((f"f{n}", 4, DIGEST) for n in range(101))),
    "a name that is none": report_of((["a"], 4, DIGEST)),
    "no JSON": b"{",
    "no manifest": b"{}",
    "a list": b"[]",
    "depth without end": b"[" * 100_000,
    "not UTF-8": b"\xff\xfe{}",
}


@pytest.mark.parametrize("what", MANIFESTS)
async def test_a_manifest_that_is_none_is_refused(far: Faraway, what: str) -> None:
    """Whatever is wrong with it, nothing is written."""
    report = MANIFESTS[what]
    result = await fetched(far, Liar(*lie(report)), report, Limits(files=100, bytes=1 << 40))
    assert result.fault is not None
    assert result.fault.cause is Cause.PROTOCOL
    assert written(far) == set()


FINE = report_of(("a", 4, DIGEST), ("b", 4, DIGEST))
LIES: dict[str, list[Packet]] = {
    "a file before the report": [pieces((0, 0, 0, 4), body=DATA)],
    "another report": [pieces((0, -1, 0, 2), body=b"{}")],
    "a report in disorder": [pieces((0, -1, 5, 2), body=b"{}")],
    "an attempt that is none": lie(FINE, pieces((7, 0, 0, 4), body=DATA)),
    "an attempt before the first": lie(FINE, pieces((-1, 0, 0, 4), body=DATA)),
    "a file that is none": lie(FINE, pieces((0, 2, 0, 4), body=DATA)),
    "a file twice": lie(FINE, pieces((0, 0, 0, 4), (0, 0, 0, 4), body=DATA * 2)),
    "more than the file": lie(FINE, pieces((0, 0, 0, 5), body=b"data!")),
    "an offset behind the file": lie(FINE, pieces((0, 0, 4, 1), body=b"!")),
    "a negative offset": lie(FINE, pieces((0, 0, -1, 1), body=b"!")),
    "a gap": lie(FINE, pieces((0, 0, 2, 2), body=b"ta")),
    "pieces in disorder": lie(FINE, pieces((0, 0, 0, 1), (0, 0, 3, 1), body=b"da")),
    "zeros without end": lie(FINE, pieces((0, 0, 0, -(2**60)))),
    "an empty piece": lie(FINE, pieces((0, 0, 0, 0))),
    "less than it says": lie(FINE, pieces((0, 0, 0, 4), body=b"da")),
    "pieces that are none": lie(FINE, pieces("piece")),
    "pieces of words": lie(FINE, pieces(["0", 0, 0, 4], body=DATA)),
    "pieces of truth": lie(FINE, pieces([True, 0, 0, 4], body=DATA)),
    "no list of pieces": lie(FINE, Packet("pieces", 0, {"pieces": {"a": 1}}, DATA)),
    "nothing that is known": lie(FINE, Packet("gift")),
    "a loss that is none": lie(FINE, Packet("lacking", 0, {"lacking": [[0, 0, 5]]})),
    "a loss of what is none": lie(FINE, Packet("lacking", 0, {"lacking": [[9, 0, ""]]})),
}


@pytest.mark.parametrize("what", LIES)
async def test_a_stream_that_lies_costs_its_attempt(far: Faraway, what: str) -> None:
    """The attempt has failed, in words; at most files that it listed, with their right bytes, are there."""
    result = await fetched(far, Liar(*LIES[what]), FINE)
    assert result.fault is not None
    assert result.fault.cause is (Cause.TRANSFER if what == "another report" else Cause.PROTOCOL)
    assert ("its report in disorder" in result.fault.reason) == (what == "a report in disorder"), "at once"
    inside = f"home/demo-1/{DIRECTORY}"
    assert written(far) <= {f"{inside}/{name}" for name in (REPORT, "a", "b", "a.partial")}
    if (far.home / DIRECTORY / "a").exists():
        assert (far.home / DIRECTORY / "a").read_bytes() == DATA


@pytest.mark.parametrize("nonsense", [Packet("gift"), pieces((7, 0, 0, 4), body=DATA)])
async def test_what_came_before_a_lie_is_kept(far: Faraway, nonsense: Packet) -> None:
    """Also where pieces of one file were waiting to be put together when it came."""
    said = lie(FINE, pieces((0, 0, 0, 1), body=b"d"), pieces((0, 0, 1, 3), body=b"ata"), nonsense)
    result = await fetched(far, Liar(*said), FINE)
    assert result.fault is not None
    assert result.fault.cause is Cause.PROTOCOL
    assert (far.home / DIRECTORY / "a").read_bytes() == DATA


async def test_what_never_comes_is_not_waited_for(far: Faraway) -> None:
    """A host that says nothing, or forever that it is still reading, is given up for now."""

    class Mute(Liar):
        def answers(self) -> dict[str, Answer]:
            return {"attempts": lambda _: iter(self.wait())}

        def wait(self) -> Iterator[Packet]:
            gone.wait(1.0)
            yield Packet("still")

    gone = threading.Event()
    try:
        with pytest.raises(SourceError, match="nothing of what it should send") as error:
            await asyncio.wait_for(_fetch_and(far, Mute(), gone), 20)
    finally:
        gone.set()
    assert error.value.transient


async def _fetch_and(far: Faraway, liar: Liar, gone: Any) -> None:
    try:
        await fetched(far, liar, FINE)
    finally:
        gone.set()


async def test_a_flood_ends(far: Faraway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packets without end that bring nothing end with a fault, and the relay is told to stop."""
    monkeypatch.setattr("hsm.compute.ssh.collecting.STILLS", 50)
    nothing = Packet("lacking", 0, {"lacking": []})
    for endless in (Packet("still"), nothing, pieces(), pieces(body=b"x" * 100_000)):
        result = await fetched(far, Liar(*lie(FINE), endless=endless), FINE)
        assert result.fault is not None
        assert "no files" in result.fault.reason or "belong to nothing" in result.fault.reason
        far.world.files.remove_tree(str(far.home / DIRECTORY))


async def test_a_trickle_is_given_up_for_now(far: Faraway, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that sends a byte now and then holds nobody up for ever; what came stays."""
    monkeypatch.setattr("hsm.compute.ssh.collecting.SLOW_BYTES_S", 1e6)
    report = report_of(("a", 100_000, DIGEST))
    said = lie(report, *(pieces((0, 0, n, 1), body=b"x") for n in range(99_999)))
    with pytest.raises(SourceError, match="bytes of what it should send came in") as error:
        await fetched(far, Liar(*said), report, slow_s=0.2)
    assert error.value.transient
    assert (far.home / DIRECTORY / "a.partial").exists()


async def test_what_a_reason_says_is_printable_and_short(far: Faraway) -> None:
    """A host's words cannot move a cursor."""
    said = lie(FINE, Packet("lacking", 0, {"lacking": [[0, 0, "\x1b[2J\x1b]0;evil\x07" + "x" * 5000]]}))
    result = await fetched(far, Liar(*said), FINE)
    assert result.fault is not None
    assert result.fault.reason.isprintable()
    assert len(result.fault.reason) < 250


def grown(path: object, how: str = "part", offset: object = 0, size: object = 4, **more: object) -> Packet:
    fields = {"directory": DIRECTORY, "path": path, "how": how, "offset": offset, "size": size, **more}
    return Packet("grown", 0, fields, DATA)


async def test_pushes_that_lie_write_nothing_elsewhere(far: Faraway) -> None:
    """Neither names, places, kinds, nor sizes; the last push is fine and shows that all were read."""
    elsewhere = [
        *(grown(name, how) for name in NAMES for how in ("part", "whole", "log")),
        grown("x", directory="../.."),
        grown("x", directory=".hsm/work/task_0002.1-other"),
        grown("x", directory=7),
        grown(["x"]),
        grown("x", offset=-1),
        grown("x", offset=2**62, size=2**63),
        grown("x", size=2**40),
        grown("x", size=3),
        grown("x", size=True),
        grown("results/x", "whole"),
        grown("stdout.log", "whole"),
        grown("x", "log"),
        grown("x", "gift"),
        grown("stdout.log", "log", 10, 14),
    ]
    (far.home / ".hsm" / "agents" / "far").mkdir(parents=True)
    async with viewing(far, Liar(pushed=(*elsewhere, grown("last")))):
        await until((far.home / DIRECTORY / "last.partial").exists)
    fine = {f"home/demo-1/{DIRECTORY}/last.partial", "home/demo-1/.hsm/agents/far/heard"}
    assert written(far) <= fine


async def test_what_is_pushed_unasked_does_not_fill_the_memory(far: Faraway) -> None:
    """While nothing can be written only so much of it is kept, and the rest is thrown away."""
    (far.home / ".hsm" / "agents" / "far").mkdir(parents=True)
    body = bytes(1 << 20)
    pushed = [grown(f"f{n}", size=len(body))._replace(body=body) for n in range(12)]
    last = asyncio.Event()
    async with viewing(far, Liar(pushed=(*pushed, Packet("mark"))), marked=last) as view:
        async with asyncio.timeout(10), view.writing:
            await last.wait()
        await until((far.home / DIRECTORY / "f0.partial").exists)
        async with view.writing:
            written_ = len(list((far.home / DIRECTORY).glob("*.partial")))
    assert 0 < written_ <= 6


async def test_snapshots_of_too_many_files_are_not_written(
    far: Faraway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that shows file after file fills neither the directory nor the disk."""
    monkeypatch.setattr("hsm.compute.ssh.live.MAX_PARTS", 20)
    (far.home / ".hsm" / "agents" / "far").mkdir(parents=True)
    pushed = (*(grown(f"f{n}") for n in range(100)), grown("stdout.log", "log"))
    async with viewing(far, Liar(pushed=pushed)):
        await until((far.home / DIRECTORY / "stdout.log").exists)
    assert len(list((far.home / DIRECTORY).glob("*.partial"))) == 20


async def test_links_at_home_are_not_followed(far: Faraway, tmp_path: Path) -> None:
    """Whoever made them: a file takes a link's place, and a folder that is one lets nothing in."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "secret").write_text("mine")
    wanted = far.attempt({"a": DATA, "big": bytes(range(256)) * 1000, "stdout.log": DATA * 50_000})
    wanted.dest.mkdir(parents=True)
    for name in ("a", "big", "big.partial", "stdout.log"):
        (wanted.dest / name).symlink_to(elsewhere / "secret")
    (result,) = await far.fetch(wanted)
    assert (result.fault, far.fault(wanted)) == (None, None)
    inside = far.attempt({"results/a": DATA}, 2)
    inside.dest.mkdir(parents=True)
    (inside.dest / "results").symlink_to(elsewhere)
    (result,) = await far.fetch(inside)
    assert result.fault is not None
    assert "no directory" in result.fault.reason
    assert [(path.name, path.read_text()) for path in elsewhere.iterdir()] == [("secret", "mine")]
