"""The agent's life: how it comes, stays and leaves, and what it makes of a hostile machine."""

import asyncio
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path

import pytest

from hsm.compute.agent.__main__ import ALREADY_RUNNING
from hsm.compute.local import LocalSource
from hsm.compute.testing.file_agent import FileAgentSource, home_of
from hsm.compute.testing.plays import SUCCEED, Play
from hsm.compute.testing.processes import wait_gone
from hsm.compute.testing.site import PATIENCE_S, MakeSource, Setting, Site
from hsm.core.errors import SourceError
from hsm.core.source import ComputeSource, SweepContext
from hsm.core.spec import EnvironmentSpec, Resources, SourceSpec
from hsm.core.states import AttemptState, Cause
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.log import LogWriter, encode_record
from hsm.wire.messages import Opened, Started, to_record
from hsm.wire.process import start_of

pytestmark = pytest.mark.integration


def local(world: World, project: Path, slots: int) -> ComputeSource:
    return LocalSource(world, SourceSpec(kind="local", slots=slots), project)


def on_files(world: World, project: Path, slots: int) -> ComputeSource:
    return FileAgentSource(world, slots=slots)


@asynccontextmanager
async def site_at(root: Path, make_source: MakeSource, **setting: object) -> AsyncIterator[Site]:
    """Open a site; afterwards nothing of it may be left."""
    site = Site(World(), root, make_source, Setting(**setting), lambda: None)  # type: ignore[arg-type]
    try:
        await site.open()
        yield site
        await site.finish()
    finally:
        await site.close()


MANAGER = """
import asyncio, json, sys
from pathlib import Path
from hsm.compute.local import LocalSource
from hsm.compute.testing.site import Setting, Site
from hsm.core.source import AttemptOrder
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World

def make(world, project, slots):
    return LocalSource(world, SourceSpec(kind="local", slots=slots), project)

async def main():
    site = Site(World(), Path(sys.argv[1]), make, Setting(slots=1), lambda: None)
    await site.open()
    orders = [AttemptOrder(**{**order, "resources": Resources()}) for order in json.load(sys.stdin)]
    await site.session.submit(orders)
    await site.running(orders[0])
    print("running", flush=True)
    await site.until(lambda: False)

asyncio.run(main())
"""


async def test_a_killed_manager_leaves_everything_running(tmp_path: Path) -> None:
    """After kill -9 of a real manager the next one adopts what runs and re-runs nothing."""
    site = Site(World(), tmp_path, local, Setting(slots=1), lambda: None)
    gate = site.gate()
    orders = [site.order(site.hold("held", gate)), site.order(site.note("queued"))]
    with subprocess.Popen(  # noqa: ASYNC220 - nothing else goes on in this loop
        [sys.executable, "-c", MANAGER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as manager:
        assert manager.stdin is not None
        assert manager.stdout is not None
        manager.stdin.write(json.dumps([asdict(order) for order in orders]).encode())
        manager.stdin.close()
        assert manager.stdout.readline() == b"running\n"
        manager.kill()
    site._epoch = 1
    try:
        await site.open()
        (program,) = site.bearers()
        assert set(await site.session.find([order.token for order in orders])) == {o.token for o in orders}
        await site.running(orders[0])
        assert program in site.bearers(), "another process runs in its place"
        gate.open()
        assert [seen.cause for seen in await site.ended(orders)] == [None, None]
        assert site.runs() == ["held", "queued"]
        await site.finish()
    finally:
        await site.close()


async def test_a_second_agent_is_refused(tmp_path: Path) -> None:
    """One sweep and source have one agent at a time; another one leaves at once and says so."""
    async with site_at(tmp_path, on_files) as site:
        command = [sys.executable, "-m", "hsm.compute.agent", "--poll", "1", str(site.tree.root)]
        command.append(str(home_of(site.tree.root, "files")))
        done = await asyncio.to_thread(subprocess.run, command, check=False, timeout=PATIENCE_S)
        assert done.returncode == ALREADY_RUNNING
        assert [seen.cause for seen in await site.ended(await site.submit(SUCCEED()))] == [None]


@pytest.mark.parametrize("make_source", [local, on_files], ids=["local", "files"])
async def test_an_agent_that_is_told_to_stop_says_so(tmp_path: Path, make_source: MakeSource) -> None:
    """On TERM the agent ends what runs with the cause `preempted`; what waits is run by the next agent."""
    async with site_at(tmp_path, make_source, slots=1) as site:
        orders = await site.submit(site.hold("held", site.gate()), site.note("queued"))
        await site.running(orders[0])
        pid = site.agent_pid
        assert pid is not None
        os.kill(pid, signal.SIGTERM)
        held, queued = await site.ended(orders)
        assert (held.state, held.cause) == (AttemptState.EXITED, Cause.PREEMPTED)
        assert (queued.state, queued.cause) == (AttemptState.EXITED, None)
        assert site.runs() == ["held", "queued"]
        assert site.agent_pid != pid


async def test_an_idle_agent_leaves_and_another_one_comes(tmp_path: Path) -> None:
    """An agent that nobody needs leaves; what is handed over later is run by the next; nothing is lost."""

    def hasty(world: World, project: Path, slots: int) -> ComputeSource:
        return FileAgentSource(world, slots=slots, linger_s=0.0)

    async with site_at(tmp_path, hasty) as site:
        orders, agents = [], set()
        for word in range(3):
            orders += await site.submit(site.note(word))
            await site.ended(orders)
            pid = site.agent_pid
            assert pid is not None
            assert wait_gone(pid, PATIENCE_S), "it stays although it has nothing to do"
            agents.add(pid)
        assert {seen.state for seen in site.endings.values()} == {AttemptState.EXITED}
        assert site.runs() == ["0", "1", "2"]
        assert len(agents) == 3


async def test_an_agent_whose_sweep_was_removed_ends_what_runs_and_leaves(tmp_path: Path) -> None:
    """Nobody could ever read what it would say; it does not wait for that for ever."""
    site = Site(World(), tmp_path / "here", on_files, Setting(slots=2), lambda: None)
    try:
        await site.open()
        first = await site.submit(site.hold("held", site.gate()), site.hold("held too", site.gate()))
        await site.running(first[0])
        await site.running(first[1])
        (program, other), agent = site.bearers(), site.agent_pid
        assert agent is not None
        site.root.rename(tmp_path / "gone")
        os.kill(program, signal.SIGKILL)
        assert wait_gone(agent, PATIENCE_S), "it stays although there is nothing to write to"
        assert wait_gone(other, PATIENCE_S), "it left a program behind"
        (tmp_path / "gone").rename(site.root)
    finally:
        await site.close()


async def test_an_attempt_that_was_claimed_before_is_lost(tmp_path: Path) -> None:
    """A directory without a record means that an agent died between the two: LOST, never run twice."""
    async with site_at(tmp_path, on_files) as site:
        order = site.order(site.note("claimed"))
        (site.tree.root / order.directory).mkdir(parents=True)
        await site.session.submit([order])
        after = await site.submit(site.note("after"))
        claimed, other = await site.ended([order, *after])
        assert (claimed.state, other.cause) == (AttemptState.LOST, None)
        assert site.runs() == ["after"]


async def test_what_a_dead_agent_had_begun_cannot_be_taken_back(tmp_path: Path) -> None:
    """What was begun and never recorded is LOST and killed when it is withdrawn, not VOID and left."""
    async with site_at(tmp_path, on_files, slots=1) as site:
        gate, stray = site.gate(), site.order(site.note("stray"))
        (holder,) = await site.submit(site.hold("holder", gate))
        await site.running(holder)
        (site.tree.root / stray.directory).mkdir(parents=True)
        token = {**os.environ, "HSM_TOKEN": stray.token}
        with subprocess.Popen(["sleep", "1000"], start_new_session=True, env=token) as begun:  # noqa: ASYNC220 - it returns at once
            try:
                await site.session.submit([stray])
                await site.session.cancel([stray.token])
                (seen,) = await site.ended([stray])
                assert seen.state is AttemptState.LOST
                assert begun.wait(PATIENCE_S) == -signal.SIGKILL
            finally:
                begun.kill()
        gate.open()
        await site.ended([holder])


async def test_a_stranger_with_a_known_pid_is_left_alone(tmp_path: Path) -> None:
    """What a dead agent had started is killed only if it still is what it was."""
    with subprocess.Popen(["sleep", "1000"], start_new_session=True) as stranger:  # noqa: ASYNC220 - it returns at once
        try:
            site = Site(World(), tmp_path, on_files, Setting(), lambda: None)
            order = site.order(SUCCEED())
            records = home_of(site.tree.root, "files") / "records"
            records.mkdir(parents=True)
            opened = Opened(1, "0", "3", platform.node(), 1, "1", "boot", "", 0.0)
            log = LogWriter.create(Files(), str(records / "000001.log"), to_record(opened))
            start = start_of(stranger.pid)
            assert start is not None
            log.write([encode_record(to_record(Started(order.token, stranger.pid, start, 0.0)))])
            log.close()
            try:
                await site.open()
                (seen,) = await site.ended([order])
                assert seen.state is AttemptState.LOST
                assert stranger.poll() is None, "a process that is none of ours was killed"
                await site.finish()
            finally:
                await site.close()
        finally:
            stranger.kill()


@pytest.mark.parametrize("make_source", [local, on_files])
async def test_what_may_run_on_another_host_is_not_called_lost(
    tmp_path: Path, make_source: MakeSource
) -> None:
    """No agent takes the place of one on another host while somebody counts on what that had."""
    site = Site(World(), tmp_path, make_source, Setting(), lambda: None)
    order = site.order(site.note("there"))
    source = make_source(site.world, tmp_path, 1)
    records = home_of(site.tree.root, source.name) / "records"
    records.mkdir(parents=True)
    opened = Opened(1, "0", "3", "elsewhere", 1, "1", "boot", "", 0.0)
    log = LogWriter.create(Files(), str(records / "000001.log"), to_record(opened))
    log.write([encode_record(to_record(Started(order.token, 1, "1", 0.0)))])
    log.close()
    try:
        with pytest.raises(SourceError, match="does not answer") as refused:
            await site.open()
        if make_source is local:
            assert "1 attempts may still run on host elsewhere" in refused.value.message
        assert [path.name for path in records.iterdir()] == ["000001.log"]
        site.orders.clear()  # given up: nobody counts on it any more
        await site.open()
        here = await site.submit(site.note("here"))
        await site.ended(here)
        assert set(site.endings) == {here[0].token}, "nothing new is said of the other one"
        await site.finish()
    finally:
        await site.close()


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [
        ("#!/no/such/interpreter\n", 0o755, "interpreter that its first line names is not there"),
        ("#!/bin/sh\n", 0o644, "is not executable"),
        ("\x00\x01\x02\x03", 0o755, "Exec format error"),
    ],
    ids=["interpreter", "mode", "format"],
)
async def test_a_program_that_cannot_start_says_why(
    tmp_path: Path, content: str, mode: int, reason: str
) -> None:
    """The reason names the program and what is wrong with it."""
    program = tmp_path / "program"
    program.write_text(content)
    program.chmod(mode)
    async with site_at(tmp_path, on_files) as site:
        (seen,) = await site.ended(await site.submit((str(program),)))
        assert (seen.cause, seen.exit and seen.exit.code) == (Cause.APPLICATION, 127)
        assert str(program) in seen.reason
        assert reason in seen.reason


async def test_a_variable_that_cannot_be_set_fails_attempts_not_the_agent(tmp_path: Path) -> None:
    """A name that no environment can hold is the attempt's end, with its reason, and the agent lives."""
    async with site_at(tmp_path, on_files, variables={"A=B": "c"}) as site:
        first, second = await site.ended(await site.submit(SUCCEED(), SUCCEED()))
        assert (first.state, first.cause) == (AttemptState.EXITED, Cause.APPLICATION)
        assert "cannot start" in first.reason
        assert second.cause is Cause.APPLICATION
        agent = site.agent
        assert agent is not None
        assert agent.incarnation == 1


async def test_no_two_attempts_share_a_gpu(tmp_path: Path) -> None:
    """Each attempt sees the GPUs that it asked for; one that finds none free waits, others see none."""
    two = EnvironmentSpec(variables={"CUDA_VISIBLE_DEVICES": "3,5"})

    def with_gpus(world: World, project: Path, slots: int) -> ComputeSource:
        return LocalSource(world, SourceSpec(kind="local", slots=slots, environment=two), project)

    see = Play("see", 'printf "%s\\n" "$2 sees ${CUDA_VISIBLE_DEVICES-nothing}" >>"$1"; read -r _ <"$3"')
    async with site_at(tmp_path, with_gpus, slots=3) as site:
        first, second, without = site.gate(), site.gate(), site.gate()
        without.open()
        needs = Resources(gpus=1)
        (none,) = await site.submit(see(site.log, "0", without.path))
        await site.ended([none])
        one = await site.submit(see(site.log, "1", first.path), resources=needs)
        await site.running(*one)
        other = await site.submit(see(site.log, "2", second.path), resources=needs)
        waiting = await site.submit(see(site.log, "3", without.path), resources=needs)
        await site.running(*other)
        second.open()
        await site.ended([*other, *waiting])
        assert site.runs() == ["0 sees ", "1 sees 3", "2 sees 5", "3 sees 5"]
        first.open()
        await site.ended(one)
        both = await site.submit(see(site.log, "4", without.path), resources=Resources(gpus=2))
        await site.ended(both)
        assert sorted(site.runs()[-1].removeprefix("4 sees ").split(",")) == ["3", "5"]


@pytest.mark.skipif(os.getuid() == 0, reason="RUNNING AS ROOT: nothing is unreadable, so this shows nothing")
async def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A result that cannot be read fails the attempt by name; a folder that cannot is listed as left out."""
    secret = Play("secret", "echo x >results/secret; chmod 0 results/secret")
    folder = Play("folder", "mkdir results/closed; chmod 0 results/closed")
    async with site_at(tmp_path, on_files) as site:
        unreadable, closed = await site.ended(await site.submit(secret(), folder()))
        assert unreadable.cause is Cause.APPLICATION
        assert "results/secret" in unreadable.reason
        assert closed.cause is None


# Each of these makes one call of the agent fail, once, as a machine does that is full for a moment.
FAULTS = {
    "records": """
from hsm.wire.files import Files
real, calls = Files.write, []
def write(self, fd, data):
    calls.append("/records/" in os.readlink(f"/proc/self/fd/{fd}"))
    if calls[-1] and sum(calls) == 3:
        raise OSError(errno.ENOSPC, "No space left on device")
    return real(self, fd, data)
Files.write = write
""",
    "directory": """
FAILING = 1
real, calls = os.mkdir, []
def mkdir(path, *mode):
    calls.append(path)
    if "task_0002." in path and sum("task_0002." in call for call in calls) == FAILING:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    return real(path, *mode)
os.mkdir = mkdir
""",
    "results": """
FAILING = 2
real, calls = os.mkdir, []
def mkdir(path, *mode):
    calls.append(path)
    if "task_0002." in path and sum("task_0002." in call for call in calls) == FAILING:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    return real(path, *mode)
os.mkdir = mkdir
""",
    "process": """
from hsm.compute.agent.host import Host
real, calls = Host.spawn, []
def spawn(self, *arguments):
    calls.append(1)
    if len(calls) == 2:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
    return real(self, *arguments)
Host.spawn = spawn
""",
    "report": """
from hsm.wire.files import Files
real, calls = Files.write_new, []
def write_new(self, path, data):
    calls.append("task_0002." in path and path.endswith("/provenance.json"))
    if calls[-1] and sum(calls) == 1:
        real(self, path, data[:100])
        raise OSError(errno.ENOSPC, "No space left on device", path)
    return real(self, path, data)
Files.write_new = write_new
""",
    "descriptor": """
from hsm.wire.files import Files
real, calls = Files.scan, []
def scan(self, path):
    calls.append("task_0002." in path)
    if calls[-1] and sum(calls) == 1:
        raise OSError(errno.EMFILE, "Too many open files", path)
    return real(self, path)
Files.scan = scan
""",
}


class FaultySource(FileAgentSource):
    """Starts the agent with a fault built in."""

    def __init__(self, world: World, slots: int, fault: str) -> None:
        super().__init__(world, slots=slots)
        self._fault = fault

    def command(self, context: SweepContext, keep: int) -> list[str]:
        python, flag, start, *rest = super().command(context, keep)
        imports, main = start.split("sys.exit", 1)
        return [python, flag, f"import errno, os\n{imports}\n{self._fault}\nsys.exit{main}", *rest]


@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
async def test_a_machine_that_is_full_for_a_moment_fails_nothing(tmp_path: Path, fault: str) -> None:
    """No room for a record, a directory, a process or a report: the agent waits, and all is run once."""
    make: Callable[..., ComputeSource] = lambda world, _, slots: FaultySource(world, slots, fault)  # noqa: E731
    async with site_at(tmp_path, make, slots=1) as site:
        orders = []
        for word in range(4):
            orders += await site.submit(site.note(word))
            await site.ended(orders)
        assert {seen.cause for seen in site.endings.values()} == {None}
        assert site.runs() == ["0", "1", "2", "3"]
        ended = [seen.token for seen in site.seen if seen.state is AttemptState.EXITED]
        assert ended == [order.token for order in orders], "a record was lost, or written twice"
        log = site.tree.logs / "sources" / "files.log"
        assert log.read_text().count("trying again until it is there") == 1
        assert log.read_text().count("going on") == 1
