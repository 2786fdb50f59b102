"""Both logs of an agent, mirrored over a real link: what was said arrives, and what is lost comes back."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hsm.compute.agent.carrying import CHUNK_BYTES, Carrying
from hsm.compute.agent.host import Host
from hsm.compute.agent.relay import Answer, Service
from hsm.compute.agent_session import START
from hsm.compute.carrier import Place
from hsm.compute.link import CallRefused, Link, LinkLost
from hsm.compute.ssh.mirror import Copy, Mirror
from hsm.core.errors import SourceError
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.inbox import Inbox
from hsm.wire.link import Packet
from hsm.wire.log import LogReader, LogWriter, Position, encode_record
from hsm.wire.messages import Close, Hello, Recall
from tests.unit.compute.test_link import linked

SWEEP, SOURCE = "sweep", "ssh:test"


class Sides:
    """A home and a host, each a folder, and sessions between them."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        self.home = folder / "home" / "agents" / SOURCE
        self.root = folder / "root"
        self.there = self.root / "sweeps" / SWEEP / ".hsm" / "agents" / SOURCE
        for part in ("inbox", "records"):
            (self.home / part).mkdir(parents=True)

    @asynccontextmanager
    async def mirror(self, epoch: int) -> AsyncIterator[tuple[Mirror, Link]]:
        """Begin a session as the SSH source does, but for the agent."""
        async with linked(Carrying(Host(), str(self.root))) as (link, _):
            copy = Copy(SOURCE, Files(), f"{self.home}/records")
            known = copy.recall()
            host = (await link.call("open", {"sweep": SWEEP, "source": SOURCE, "records": known})).fields
            mirror = Mirror(self.world, self.home, epoch, link, copy)
            try:
                await mirror.catch_up(host["inbox"], {name: host["records"].get(name, 0) for name in known})
                await mirror.send([hello(epoch, mirror.prev)])
                await mirror.carry_now()
                await link.call("follow", {"records": dict(mirror.copied)})
                yield mirror, link
            finally:
                await mirror.close()

    def logs(self, side: Path, part: str) -> dict[str, bytes]:
        """Return the bytes of each log of a side."""
        return {path.name: path.read_bytes() for path in sorted((side / part).iterdir())}

    def record(self, log: LogWriter | None, *words: str) -> LogWriter:
        """Let an agent record things on the host."""
        if log is None:
            path = self.there / "records"
            path.mkdir(parents=True, exist_ok=True)
            number = len(list(path.iterdir())) + 1
            log = LogWriter.create(Files(), f"{path}/{number:06d}.log", {"t": "opened", "n": number})
        log.write([encode_record({"t": word}) for word in words])
        log.sync()
        return log


def hello(epoch: int, prev: dict[str, int]) -> Hello:
    """Return what a session says first."""
    return Hello(epoch, SWEEP, 1, "/p", {}, [], 5.0, {}, prev)


def again(path: Path) -> tuple[int, Position]:
    """Return what a writer needs to go on with a log."""
    reader = LogReader(Files(), str(path))
    list(reader.records())
    return Files().open_append(str(path)), reader.position


NUMBERS: list[object] = [None, "0", [0], True, 0.5, -1, 1 << 63]
ODD: list[dict[str, object]] = [
    *({"kind": "records", "log": "000001.log", "offset": number} for number in NUMBERS),
    *({"kind": "records", "log": name, "offset": 0} for name in NUMBERS if not isinstance(name, str)),
    *({"kind": "have", "part": "inbox", "length": number} for number in NUMBERS),
]


class Pushing(Service):
    """Pushes one packet when it is asked to."""

    def __init__(self, packet: Packet) -> None:
        self._packet = packet

    def answers(self) -> dict[str, Answer]:
        return {"push": self._push}

    def _push(self, _: Packet) -> Iterator[Packet]:
        self.send(self._packet)
        yield Packet("more")


@pytest.fixture
def sides(tmp_path: Path) -> Sides:
    return Sides(tmp_path)


async def read(mirror: Mirror, place: Place, count: int) -> tuple[list[str], Place]:
    """Read records until so many have come."""
    found: list[str] = []
    async with asyncio.timeout(10):
        while True:
            records, place = await mirror.receive(place)
            found += [record["t"] for record in records]
            if len(found) >= count:
                return found, place
            await mirror.wait()


class TestInbox:
    """What is said at home arrives."""

    async def test_what_is_sent_lies_there_byte_by_byte(self, sides: Sides) -> None:
        """And the sender can wait until it is durable there."""
        async with sides.mirror(1) as (mirror, _):
            for number in range(5):
                await mirror.send([Recall([str(number)])])
            await mirror.carry_now()
            async with asyncio.timeout(10):
                await mirror.arrived()
            assert sides.logs(sides.there, "inbox") == sides.logs(sides.home, "inbox")

    async def test_what_was_not_carried_is_carried_by_the_next_session(self, sides: Sides) -> None:
        """It was handed over, for it stands at home; the agent hears it in order."""
        async with sides.mirror(1) as (mirror, _):
            await mirror.send([Recall(["lost"])])  # the session ends before it is carried
        async with sides.mirror(2) as (mirror, _):
            async with asyncio.timeout(10):
                await mirror.arrived()
            assert sides.logs(sides.there, "inbox") == sides.logs(sides.home, "inbox")
        said = [said.record["t"] for said in Inbox(Files(), f"{sides.there}/inbox").read()]
        assert said == ["hello", "recall", "hello"]

    async def test_what_a_superseded_manager_carries_later_does_not_count(self, sides: Sides) -> None:
        """Both carry the same log; what stands behind `prev` is heard by nobody."""
        async with sides.mirror(1) as (old, _):
            await old.send([Recall(["before"])])
            async with sides.mirror(2) as (new, _):
                await old.send([Recall(["after"])])
                await old.carry_now()
                async with asyncio.timeout(10):
                    await old.arrived()  # of two that append at the same moment, one is refused
                await new.send([Close()])
                await new.carry_now()
                async with asyncio.timeout(10):
                    await new.arrived()
        said = [said.record for said in Inbox(Files(), f"{sides.there}/inbox").read()]
        assert [record["tokens"] for record in said if record["t"] == "recall"] == [["before"]]
        assert said[-1]["t"] == "close"

    async def test_an_append_may_be_said_twice_but_never_leaves_a_gap(self, sides: Sides) -> None:
        """Equal bytes are skipped, other bytes and gaps are refused."""
        async with sides.mirror(1) as (_, link):

            async def append(offset: int, data: bytes) -> Packet:
                return await link.call(
                    "append", {"part": "inbox", "log": "000009-0001.log", "offset": offset}, data
                )

            for offset, data in ((0, b"abc"), (0, b"abc"), (1, b"bcde"), (5, b"f")):
                await append(offset, data)
            assert (sides.there / "inbox" / "000009-0001.log").read_bytes() == b"abcdef"
            with pytest.raises(CallRefused, match="6 bytes, and what comes begins at 7"):
                await append(7, b"x")
            with pytest.raises(CallRefused, match="something else") as refused:
                await append(4, b"XX")
            assert not refused.value.transient
            assert (sides.there / "inbox" / "000009-0001.log").read_bytes() == b"abcdef"

    @pytest.mark.parametrize("name", ["../../x.log", "/etc/passwd", "000001.txt", ".log", "a\0b.log"])
    async def test_only_logs_are_written(self, sides: Sides, name: str) -> None:
        """Whatever name is said."""
        async with sides.mirror(1) as (_, link):
            with pytest.raises(CallRefused, match="there is no log"):
                await link.call("append", {"part": "inbox", "log": name, "offset": 0}, b"x")


class TestRecords:
    """What the agent records comes home."""

    async def test_records_come_home_as_they_are_written(self, sides: Sides) -> None:
        """Of one agent after another, from a place that was reached before."""
        first = sides.record(None, "started", "ended")
        async with sides.mirror(1) as (mirror, _):
            found, place = await read(mirror, START, 3)
        sides.record(first, "lost")
        sides.record(None, "withdrawn")
        async with sides.mirror(2) as (mirror, _):
            more, _ = await read(mirror, place, 3)
        assert (found, more) == (["opened", "started", "ended"], ["lost", "opened", "withdrawn"])
        assert sides.logs(sides.home, "records") == sides.logs(sides.there, "records")

    async def test_no_log_comes_home_before_all_of_the_one_ahead_of_it(
        self, sides: Sides, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Though it takes several pieces: readers go on to the next log, and never back."""
        sides.record(None, *("x" * 1000 for _ in range(2 * CHUNK_BYTES // 1000)))
        sides.record(None, "lost")
        pieces, write = list[str](), Copy.write

        def noted(copy: Copy, name: str, offset: int, data: bytes) -> None:
            pieces.append(name)
            write(copy, name, offset, data)

        monkeypatch.setattr(Copy, "write", noted)
        async with sides.mirror(1) as (mirror, _):
            found, _ = await read(mirror, START, 2 * CHUNK_BYTES // 1000 + 3)
        assert pieces == ["000001.log"] * 3 + ["000002.log"]
        assert found[-2:] == ["opened", "lost"]

    async def test_what_a_power_cut_left_at_home_is_cut_off_and_comes_anew(self, sides: Sides) -> None:
        """A tail of zeros, or half a group, is none of the agent's words."""
        log = sides.record(None, "started")
        async with sides.mirror(1) as (mirror, _):
            _, place = await read(mirror, START, 2)
        sides.record(log, "ended", "lost")
        (copy,) = (sides.home / "records").iterdir()
        with copy.open("ab") as file:
            file.write(bytes(100))
        async with sides.mirror(2) as (mirror, _):
            assert (await read(mirror, place, 2))[0] == ["ended", "lost"]
        assert sides.logs(sides.home, "records") == sides.logs(sides.there, "records")

    async def test_a_host_that_lost_everything_gets_it_back(self, sides: Sides) -> None:
        """Records and inbox, before an agent is started there."""
        sides.record(None, "started")
        async with sides.mirror(1) as (mirror, _):
            _, place = await read(mirror, START, 2)
        before = sides.logs(sides.there, "records")
        shutil.rmtree(sides.root)
        async with sides.mirror(2) as (mirror, _):
            async with asyncio.timeout(10):
                await mirror.arrived()
            assert sides.logs(sides.there, "records") == before
            assert sides.logs(sides.there, "inbox") == sides.logs(sides.home, "inbox")
            sides.record(None, "lost")
            path = str(sides.there / "records" / "000001.log")
            assert Position(place.position.offset) == Position(len(Files().contents(path)))

    async def test_another_log_under_the_same_name_is_refused_for_good(self, sides: Sides) -> None:
        """Its bytes behind those at home would be none that follow them."""
        sides.record(None, "started")
        async with sides.mirror(1) as (mirror, _):
            await read(mirror, START, 2)
        shutil.rmtree(sides.there)
        path = sides.there / "records" / "000001.log"
        path.parent.mkdir(parents=True)
        LogWriter.create(Files(), str(path), {"t": "opened", "n": "another", "more": "x" * 500})
        with pytest.raises(SourceError, match="is not the log that was there before") as refused:
            async with sides.mirror(2):
                raise AssertionError("it was opened")
        assert not refused.value.transient

    async def test_what_came_damaged_of_a_living_agents_log_is_told_and_comes_anew(
        self, sides: Sides
    ) -> None:
        """As when a write that found no room was taken back there, but had been seen already."""
        sides.record(None, "started")
        path = sides.there / "records" / "000001.log"
        whole = path.read_bytes()
        path.write_bytes(whole + b"this is no frame")
        async with sides.mirror(1) as (mirror, _):
            mirror.met(1)
            with pytest.raises(SourceError, match=f"damaged, from byte {len(whole)} on: no frame") as told:
                await read(mirror, START, 3)
        assert told.value.transient
        path.write_bytes(whole)
        sides.record(LogWriter(Files(), str(path), *again(path)), "ended")
        async with sides.mirror(2) as (mirror, _):
            mirror.met(1)
            assert (await read(mirror, START, 3))[0] == ["opened", "started", "ended"]

    async def test_what_a_power_cut_left_of_a_dead_agents_log_is_passed_over(self, sides: Sides) -> None:
        """Its successor begins another log, and it counts for nothing."""
        sides.record(None, "started")
        path = sides.there / "records" / "000001.log"
        path.write_bytes(path.read_bytes() + bytes(600))
        sides.record(None, "lost")
        async with sides.mirror(1) as (mirror, _):
            mirror.met(2)
            assert (await read(mirror, START, 4))[0] == ["opened", "started", "opened", "lost"]

    @pytest.mark.parametrize("fields", ODD, ids=lambda fields: str(fields)[:40])
    async def test_pushes_of_the_wrong_kind_end_the_link_by_the_name_of_their_field(
        self, sides: Sides, fields: dict[str, object]
    ) -> None:
        """They are no defect of HSM, and no reason to try again."""
        async with linked(Pushing(Packet(str(fields["kind"]), 0, fields, b"x"))) as (link, _):
            copy = Copy(SOURCE, Files(), f"{sides.home}/records")
            mirror = Mirror(sides.world, sides.home, 1, link, copy)
            with pytest.raises(
                LinkLost, match=r"it says what cannot be: the (place in|name of|length of) a log is"
            ):
                await link.call("push")
            await mirror.close()
        assert sides.logs(sides.home, "records") == {}

    def test_what_a_host_may_not_say_is_never_written(self, tmp_path: Path) -> None:
        """Names that are none, places that do not follow."""
        copy = Copy(SOURCE, Files(), str(tmp_path))
        copy.write("000001.log", 0, b"abc")
        for name, offset in (
            ("../x", 0),
            ("x.log", 0),
            ("000001.log", 2),
            ("000001.log", 4),
            ("000002.log", 1),
        ):
            with pytest.raises(SourceError, match="records that are none"):
                copy.write(name, offset, b"x")
        copy.close()
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"000001.log": b"abc"}


def test_what_follows_a_log_whose_end_was_lost_here_comes_anew(tmp_path: Path) -> None:
    """Readers never go back (seed 55234). What the host itself has lost stays."""
    for name in ("000001.log", "000002.log", "000003.log"):
        LogWriter.create(Files(), str(tmp_path / name), {"t": "opened"}).close()
    copy = Copy(SOURCE, Files(), str(tmp_path))
    ends = {name: end for name, (end, _) in copy.recall().items()}
    copy.drop_behind_short(ends)
    assert copy.ends == ends
    copy.drop_behind_short({**ends, "000001.log": ends["000001.log"] + 100, "000003.log": 0})
    assert set(copy.ends) == {"000001.log", "000003.log"}
    assert not (tmp_path / "000002.log").exists()
