"""The SSH source: a host that has sshd and a Python, through an agent there that outlives connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm.compute.agent_session import START, AgentSession
from hsm.compute.deaths import Deaths
from hsm.compute.link import CallRefused, Link
from hsm.compute.reading import NotBelieved, full_hint, observations_of, whole
from hsm.compute.ssh.bundles import Shipped, bundle_of, ship
from hsm.compute.ssh.checks import check_host
from hsm.compute.ssh.cleaning import clean, clean_after
from hsm.compute.ssh.collecting import Collecting
from hsm.compute.ssh.environments import HostEnvironment, prepare_there
from hsm.compute.ssh.live import LiveView
from hsm.compute.ssh.mirror import Copy, Mirror
from hsm.compute.ssh.reach import Reach
from hsm.core.errors import SourceError, SourceFull
from hsm.core.limits import DISK_FULL
from hsm.core.source import (
    AttemptOrder,
    Capabilities,
    CleaningWish,
    CollectionResult,
    ComputeSource,
    HealthReport,
    Observations,
    Remnant,
    SourceSession,
    SubmitOutcome,
    SweepContext,
    Wanted,
)
from hsm.core.spec import SourceSpec
from hsm.core.world import World
from hsm.wire.link import Packet
from hsm.wire.messages import Hello

ANSWER_S = 60.0
LEAVE_S = 10.0
AHEAD_S = 2.0
"""So much work lies on a host in advance: several round trips of the longest lines."""
MAX_CPUS = 100_000
UNKNOWN_BUNDLE = "~/.hsm/bundles/DIGEST"
"""Shown in previews, where no host is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a host said when a sweep was opened there: how long its logs are, and what it has."""

    inbox: Mapping[str, int]
    records: Mapping[str, int]
    has_agent: bool
    cpus: int


class SSHSource(ComputeSource):
    """Runs attempts on a host, `slots` at a time; unless told, as many as it has processors."""

    def __init__(self, world: World, spec: SourceSpec, reach: Reach, *, cpus_per_task: int = 1) -> None:
        self.name = spec.name
        self.reach = reach
        self._world = world
        self._spec = spec
        self._cpus_per_task = max(1, cpus_per_task)
        self._shipped: Shipped | None = None
        self._environment: HostEnvironment | None = None

    def project(self, project: Path) -> Path:
        """Return where the sweep's bundle lies on the host; before that is known, a path that says so."""
        return Path(self._shipped.path if self._shipped else UNKNOWN_BUNDLE)

    def argv(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command as the host will run it."""
        return self._environment.resolve(argv) if self._environment else tuple(argv)

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        """Connect, send what lacks, bring the agent up or find the one that is there, and mirror its logs."""
        try:
            async with (
                self.reach.connected() as connection,
                asyncio.TaskGroup() as group,
                connection.relay() as logs,
                connection.relay() as bulk,
                AsyncExitStack() as stack,
            ):
                tasks = [group.create_task(link.run()) for link in (logs, bulk)]
                stack.callback(lambda: [task.cancel() for task in tasks])
                await self._prepare(context, bulk)
                mirror, host = await self._mirror(context, logs)
                stack.push_async_callback(mirror.close)
                session = _SSHSession(self._world, mirror, (logs, bulk), context, self._capabilities(host))
                await session.begin(self._hello(context, mirror, session.capabilities.slots))
                tasks += [group.create_task(mirror.carry()), group.create_task(session.live.run())]
                yield session
        except BaseExceptionGroup as errors:
            raise _the_one(errors) from errors

    async def _prepare(self, context: SweepContext, link: Link) -> None:
        """See to it that the host has what attempts start from, and the environment that they run in."""
        bundle = await bundle_of(self._world, self.name, context)
        self._shipped = await ship(self._world, link, bundle, source=self.name, sweep_id=context.sweep_id)
        self._environment = await prepare_there(
            self._world, link, self._spec.environment, bundle, source=self.name
        )

    async def _mirror(self, context: SweepContext, link: Link) -> tuple[Mirror, Host]:
        """Compare both ends of the logs, and carry over what was not."""
        files, home = self._world.files, context.sweep_dir / ".hsm" / "agents" / self.name
        for part in ("inbox", "records"):
            files.make_directories(f"{home}/{part}")
        copy = Copy(self.name, files, f"{home}/records")
        known = await self._world.blocking(copy.recall)
        asked = {"sweep": context.sweep_id, "source": self.name, "records": known}
        host = _host(self.name, (await _answer(link, "open", asked)).fields)
        copy.drop_behind_short(host.records)
        mirror = Mirror(self._world, home, context.epoch, link, copy)
        try:
            lost = {} if host.has_agent else {name: host.records.get(name, 0) for name in known}
            await mirror.catch_up(host.inbox, lost)
        except BaseException:
            await mirror.close()
            raise
        return mirror, host

    def _capabilities(self, host: Host) -> Capabilities:
        gpus = self._environment.gpus if self._environment else ()
        slots = self._spec.slots or max(1, host.cpus // self._cpus_per_task)
        return Capabilities(slots=slots, gpus=len(gpus), ahead_s=AHEAD_S, batches=True)

    def _hello(self, context: SweepContext, mirror: Mirror, slots: int) -> Hello:
        environment, shipped = self._environment, self._shipped
        if environment is None or shipped is None:
            raise AssertionError("a host is greeted when it has been prepared")
        return Hello(
            epoch=context.epoch,
            sweep_id=context.sweep_id,
            slots=slots,
            project=shipped.path,
            variables={**context.variables, **self._spec.environment.variables},
            gpus=list(environment.gpus),
            grace_s=context.grace_s,
            program={**context.program, **shipped.report, "interpreter": environment.interpreter},
            prev=mirror.prev,
            adopted=None if context.adopted is None else list(context.adopted),
        )

    async def clean(self, wish: CleaningWish) -> Sequence[Remnant]:
        """Remove what HSM left on the host, and nothing else."""
        try:
            async with (
                self.reach.connected() as connection,
                asyncio.TaskGroup() as group,
                connection.relay() as link,
            ):
                listening = group.create_task(link.run())
                try:
                    return await clean(link, self.name, wish)
                finally:
                    listening.cancel()
        except BaseExceptionGroup as errors:
            raise _the_one(errors) from errors

    async def checks(self) -> HealthReport:
        """Look at the way to the host, at the host, and at what attempts need of it."""
        return await check_host(self._world, self.reach, self._spec.environment)


class _SSHSession(AgentSession):
    """The agent of one sweep on a host."""

    def __init__(
        self,
        world: World,
        mirror: Mirror,
        links: tuple[Link, Link],
        context: SweepContext,
        capabilities: Capabilities,
    ) -> None:
        super().__init__(links[0].source, mirror, capabilities)
        self.mirror = mirror
        logs, bulk = self._logs, self._bulk = links
        self._collecting = Collecting(world, bulk, context.sweep_dir)
        self.live = LiveView(world, logs, context.sweep_dir)
        self._context = context
        self._deaths = Deaths(world, self._name)

    async def begin(self, hello: Hello) -> None:
        """Say hello, bring the agent up, and listen to what it has recorded and will record."""
        await self.mirror.send([hello])
        await self.mirror.carry_now()
        await self._bring_up()
        await _answer(self._logs, "follow", {"records": dict(self.mirror.copied)})
        await self._take_up()

    async def _take_up(self) -> None:
        """Watch the attempts that run already, handed over by an earlier session."""
        adopted = set(self._context.adopted or ())
        if adopted:
            sent = await self.mirror.sent()
            runs = (said for said in sent if said["t"] == "run" and said["token"] in adopted)
            self.live.known({run["token"]: run["directory"] for run in runs})
            records, _ = await self.mirror.receive(START)
            await self.live.note(
                [seen for seen in observations_of(self._name, records) if seen.token in adopted]
            )

    async def submit(self, orders: Sequence[AttemptOrder]) -> Sequence[SubmitOutcome]:
        """Hand attempts over, and note where they will run."""
        self.live.ordered(orders)
        return await super().submit(orders)

    async def observations(self, cursor: str = "") -> AsyncIterator[Observations]:
        """Yield what is seen; what has begun is watched from then on."""
        async for batch in super().observations(cursor):
            await self.live.note(batch.seen)
            yield batch

    async def fetch(self, wanted: Sequence[Wanted]) -> Mapping[str, CollectionResult]:
        """Bring attempts home from the host, where they were watched from where that ended."""
        await self.live.leave([one.directory for one in wanted])
        return await self._collecting.fetch(wanted)

    @property
    def is_suspected(self) -> bool:
        """Whether the agents there die at once."""
        return self._deaths.is_suspected

    async def replace_agent(self) -> None:
        """Bring up another agent in place of one that has gone, later each time when they die at once."""
        await self._deaths.died(self.mirror.last_words, f"the log of {self._name} on the host")
        await self._bring_up()

    async def _bring_up(self) -> None:
        """Connect to the agent that runs, or else have one started."""
        self.mirror.expect()
        self._deaths.begun()
        answer = await _answer(self._logs, "agent", {})
        if answer.fields.get("found") is True:
            self._deaths.found()
        self.mirror.met(whole(self._name, "the agent's number", answer.fields.get("incarnation")))

    async def release(self) -> None:
        """Tell the agent that nothing more will come, and see to it that it hears."""
        await super().release()
        try:
            async with asyncio.timeout(LEAVE_S):
                await self.mirror.arrived()
                await self.mirror.parted()
        except TimeoutError as error:
            raise SourceError(self._logs.source, "it did not take leave", transient=True) from error

    async def clear(self, *, keeps_checkpoints: bool) -> None:
        """Remove what the sweep left on the host; its bundle stays for the next one."""
        sweep_id, name = self._context.sweep_id, self._logs.source
        await clean_after(self._bulk, name, sweep_id, keeps_checkpoints=keeps_checkpoints)


async def _answer(link: Link, kind: str, fields: Mapping[str, Any]) -> Packet:
    """Return what a relay answers, which it must in good time.

    Raises:
        SourceError: it did not, or the link was lost.
    """
    try:
        async with asyncio.timeout(ANSWER_S):
            return await link.call(kind, fields)
    except TimeoutError as error:
        reason = f"no answer to {kind!r} came in {ANSWER_S:g} s"
        raise SourceError(link.source, reason, transient=True) from error


def _host(source: str, fields: Mapping[str, Any]) -> Host:
    """Return what a host said, after looking whether it can be meant.

    Raises:
        NotBelieved: it cannot.
    """
    cpus = min(max(1, whole(source, "the number of processors", fields.get("cpus"))), MAX_CPUS)
    return Host(
        inbox=_lengths(source, fields.get("inbox")),
        records=_lengths(source, fields.get("records")),
        has_agent=fields.get("agent") is True,
        cpus=cpus,
    )


def _lengths(source: str, told: object) -> dict[str, int]:
    if not isinstance(told, dict):
        raise NotBelieved(source, "the lengths of its logs", told)
    return {name: whole(source, "the length of a log", length) for name, length in told.items()}


def _the_one(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the error of a source that a group is about, a lasting one before others; else the group."""
    leaves = list(_leaves(errors))
    if all(isinstance(leaf, SourceError) for leaf in leaves):
        return _of_the_disk(min(leaves, key=lambda leaf: isinstance(leaf, SourceError) and leaf.transient))
    return errors


def _of_the_disk(error: BaseException) -> BaseException:
    """Return what was refused for want of room as that; any other error as it is."""
    if isinstance(error, CallRefused) and error.errno in DISK_FULL:
        return SourceFull(error.source, f"its disk is full: {error.reason}", hint=full_hint(error.source))
    return error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    else:
        yield error
