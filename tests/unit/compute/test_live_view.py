"""The live view over a link: output, small files and snapshots are at home while an attempt runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hsm.compute.agent.growing import LOOK_S, MOST_BYTES, Growing
from hsm.compute.agent.host import Host
from hsm.compute.agent.relay import Service
from hsm.compute.ssh.live import LiveView
from hsm.core import hearing
from hsm.core.source import Observation
from hsm.core.states import AttemptState
from hsm.wire.files import BLOCK_BYTES, Files
from hsm.wire.link import Packet
from tests.unit.compute.faraway import Faraway, Line, relayed
from tests.unit.compute.test_collecting import noise

DIRECTORY = ".hsm/work/task_0001.1-abcd"
TOKEN = "a" * 32
LIMIT_S = 10.0


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Faraway]:
    monkeypatch.setattr("hsm.compute.agent.growing.LOOK_S", 0.01)
    monkeypatch.setattr("hsm.compute.agent.growing.SNAPSHOT_S", 0.02)
    found = Faraway(tmp_path)
    (found.host / DIRECTORY / "results").mkdir(parents=True)
    (found.home / ".hsm" / "agents" / "far").mkdir(parents=True)
    yield found
    found.world.close()


def seen(state: AttemptState) -> Observation:
    return Observation(token=TOKEN, state=state, at=1.0)


async def until(condition: Callable[[], object]) -> None:
    """Wait for something that another thread does."""
    async with asyncio.timeout(LIMIT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for sets no event
            await asyncio.sleep(0.002)


@asynccontextmanager
async def viewing(
    far: Faraway,
    service: Service | None = None,
    line: Line | None = None,
    marked: asyncio.Event | None = None,
) -> AsyncIterator[LiveView]:
    """Watch the attempt over a link of its own; `marked` is set when a packet `mark` comes."""
    async with relayed([service or Growing(Host(), str(far.root))], line or Line()) as link:
        link.on("mark", lambda _: marked.set() if marked else None)
        view = LiveView(far.world, link, far.home)
        view.known({TOKEN: DIRECTORY})
        running = asyncio.create_task(view.run())
        try:
            await view.note([seen(AttemptState.RUNNING)])
            yield view
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def host(far: Faraway, name: str) -> Path:
    return far.host / DIRECTORY / name


def home(far: Faraway, name: str) -> Path:
    return far.home / DIRECTORY / name


def text(far: Faraway, name: str) -> bytes:
    path = home(far, name)
    return path.read_bytes() if path.exists() else b""


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def test_output_grows_at_home(far: Faraway) -> None:
    """What a program prints is appended at home, to the same file, and the age of it is known."""
    host(far, "stdout.log").write_bytes(b"one\n")
    async with viewing(far):
        assert home(far, "").is_dir(), "there before anybody hears that the attempt runs"
        await until(lambda: text(far, "stdout.log") == b"one\n")
        inode = home(far, "stdout.log").stat().st_ino
        for line in (b"two\n", noise(3000), b"\0\xff", noise(700_000, 2)):
            append(host(far, "stdout.log"), line)
            append(host(far, "stderr.log"), line[:50])
            await until(lambda: text(far, "stdout.log") == host(far, "stdout.log").read_bytes())
            await until(lambda: text(far, "stderr.log") == host(far, "stderr.log").read_bytes())
        assert home(far, "stdout.log").stat().st_ino == inode
        age = hearing.age_s(far.world.files, far.home, "far", far.world.now())
        assert age is not None
        assert age < LIMIT_S
        assert hearing.staleness(far.world.files, far.home, "far", far.world.now() + 40) == pytest.approx(
            40, abs=LIMIT_S
        )


async def test_a_link_that_comes_back_goes_on(far: Faraway) -> None:
    """Another session sends what came since, once; output that was emptied begins anew."""
    line = Line()
    host(far, "stdout.log").write_bytes(noise(200_000))
    async with viewing(far):
        await until(lambda: len(text(far, "stdout.log")) == 200_000)
    append(host(far, "stdout.log"), b"while it was cut")
    async with viewing(far, line=line):
        await until(lambda: text(far, "stdout.log") == host(far, "stdout.log").read_bytes())
        assert line.passed < 5000
        host(far, "stdout.log").write_bytes(b"anew")
        await until(lambda: text(far, "stdout.log") == b"anew")


async def test_small_files_are_replaced(far: Faraway) -> None:
    """Metrics are at home as they are now; what is the agent's and the manager's to write is left alone."""
    async with viewing(far):
        for number in range(3):
            host(far, "metrics.json").write_text(f'{{"loss": {number}}}')
            host(far, "status.yaml").write_text("mine")
            await until(lambda: text(far, "metrics.json") == host(far, "metrics.json").read_bytes())
    assert not home(far, "status.yaml").exists()


async def test_growing_files_have_snapshots(far: Faraway) -> None:
    """Under another name; what has not changed is not sent again, and the transfer goes on from them."""
    line = Line()
    first = noise(20 * BLOCK_BYTES + 100)
    host(far, "results/history.h5").write_bytes(first)
    async with viewing(far, line=line) as view:
        await until(lambda: text(far, "results/history.h5.partial") == first)
        before = line.passed
        changed = noise(8, 5) + first[8:] + noise(1000, 6)
        host(far, "results/history.h5").write_bytes(changed)
        await until(lambda: text(far, "results/history.h5.partial") == changed)
        assert line.passed - before < 5 * BLOCK_BYTES
        assert not home(far, "results/history.h5").exists()
        host(far, "results/history.h5").write_bytes(changed[:5000])
        await until(lambda: text(far, "results/history.h5.partial") == changed[:5000])
        host(far, "results/history.h5").write_bytes(changed)
        await until(lambda: text(far, "results/history.h5.partial") == changed)
        await view.leave([DIRECTORY])
    append(host(far, "results/history.h5"), b"the end")
    append(host(far, "stdout.log"), b"the end")
    wanted = far.reported(DIRECTORY)
    (result,) = await far.fetch(wanted)
    assert (result.fault, far.fault(wanted)) == (None, None)
    assert result.bytes < 2000
    assert far.names(wanted) == {"provenance.json", "results/history.h5", "stdout.log"}


async def test_nothing_is_written_once_it_is_left(far: Faraway) -> None:
    """Neither what is under way nor what comes later."""
    host(far, "stdout.log").write_bytes(b"one\n")
    async with viewing(far) as view:
        await until(lambda: text(far, "stdout.log"))
        await view.leave([DIRECTORY])
        append(host(far, "stdout.log"), b"two\n")
        host(far, "metrics.json").write_text("{}")
        await view.note([seen(AttemptState.EXITED)])
        await asyncio.to_thread(Files().length, str(host(far, "stdout.log")))
    assert text(far, "stdout.log") == b"one\n"
    assert not home(far, "metrics.json").exists()


async def test_no_more_is_told_before_it_is_shown(far: Faraway) -> None:
    """However much is printed, what is under way is little, so that records never wait behind it."""
    line = Line()
    async with viewing(far, line=line) as view:
        await until(lambda: home(far, "").is_dir() and line.passed > 100)
        async with view.writing:
            for number in range(40):
                append(host(far, "stdout.log"), noise(100_000, number))
            before = line.passed
            await until(lambda: line.passed > before)
            assert line.passed - before <= MOST_BYTES + 100_000
        await until(lambda: text(far, "stdout.log") == host(far, "stdout.log").read_bytes())
    assert text(far, "stdout.log")


def test_a_slow_line_is_given_less(far: Faraway, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is shown late is followed by half as much, what is shown soon by twice as much."""
    clock = [0.0]
    machine = Host()
    monkeypatch.setattr(machine, "monotonic", lambda: clock[0])
    said: list[Packet] = []
    growing = Growing(machine, str(far.root))
    growing.send = said.append
    hears = growing.answers()
    hears["watch"](Packet("watch", 0, {"sweep": "demo-1", "attempts": {DIRECTORY: {}}}))
    host(far, "stdout.log").write_bytes(noise(20 << 20))
    amounts = []
    for took_s in (2.0, 2.0, 2.0, 0.7, 0.1, 0.1, 20.0, *[2.0] * 8):
        growing.look()
        amounts.append(sum(len(packet.body) for packet in said))
        assert said[-1].kind == "seen"
        said.clear()
        clock[0] += took_s
        growing.look()
        assert not said, "nothing before it is shown"
        assert growing.due_s() is None
        hears["shown"](Packet("shown"))
        clock[0] += LOOK_S
    assert amounts[:8] == [n << 10 for n in (128, 64, 32, 16, 16, 32, 64, 32)]
    assert amounts[-1] == 8 << 10
