"""A site: one sweep's directory, the source under test, and the managers that follow one another there."""

from __future__ import annotations

import json
import os
import signal
from asyncio import timeout
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hsm.compute.testing.file_agent import home_of, newest_agent
from hsm.compute.testing.plays import HOLD, NOTE, OPENED
from hsm.compute.testing.processes import bearers, wait_gone
from hsm.core.bundle import write_listing
from hsm.core.program import Program
from hsm.core.source import (
    AttemptOrder,
    ComputeSource,
    Observation,
    Observations,
    Rejected,
    SourceSession,
    SweepContext,
    Wanted,
)
from hsm.core.spec import Resources
from hsm.core.states import AttemptState
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire import hashing
from hsm.wire.canonical import canonical_json
from hsm.wire.messages import Opened

MakeSource = Callable[[World, Path, int], ComputeSource]

FINAL = frozenset({AttemptState.EXITED, AttemptState.LOST, AttemptState.VOID, AttemptState.CANCELLED})
PATIENCE_S = 30.0
GONE_S = 5.0
GATE_LINES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What holds for every attempt at a site."""

    slots: int = 2
    grace_s: float = 5.0
    variables: Mapping[str, str] = field(default_factory=dict)


class Gate:
    """Where attempts wait until the test lets them go on: a FIFO, so that nobody has to look again."""

    def __init__(self, path: Path, proceed: Callable[[], None]) -> None:
        self.path = path
        self._proceed = proceed
        self._fd: int | None = None
        os.mkfifo(path)

    def open(self) -> None:
        """Let everybody go on who waits or will wait here."""
        if self._fd is not None:
            return
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        os.write(self._fd, b"\n" * GATE_LINES)
        Path(f"{self.path}{OPENED}").touch()
        self._proceed()

    def close(self) -> None:
        """Let go of the FIFO."""
        if self._fd is not None:
            os.close(self._fd)


class Site:
    """One sweep directory under one source, as one manager after another sees it.

    `seen` holds every observation in the order in which it came; with each batch came one of `cursors`, when
    `counts` observations had been seen. The session is that of the manager that lives now.
    """

    def __init__(
        self, world: World, root: Path, make_source: MakeSource, setting: Setting, proceed: Callable[[], None]
    ) -> None:
        self.world = world
        self.root = root
        self.tree = SweepTree(root / "sweep")
        self.log = root / "runs.log"
        self.orders: list[AttemptOrder] = []
        self.seen: list[Observation] = []
        self.cursors: list[str] = []
        self.counts: list[int] = []
        self._make_source = make_source
        self._setting = setting
        self._proceed = proceed
        self._epoch = 0
        self._gates: list[Gate] = []
        self._stack = AsyncExitStack()
        for directory in self.tree.directories():
            directory.mkdir(parents=True, exist_ok=True)
        program = Program(digest="contract", items=(), left_out={}, commit=None, is_dirty=False)
        write_listing(world.files, self.tree, program)

    # Managers

    async def open(self, cursor: str | None = None, *, is_again: bool = False) -> SourceSession:
        """Begin a manager with the next epoch, which reads observations from a cursor (default: the last).

        With `is_again` it is the manager that was there before, whose session had ended.
        """
        self._epoch += not is_again
        if not is_again:
            self.source = self._make_source(self.world, self.root, self._setting.slots)
        self.session = await self._stack.enter_async_context(self.source.session(self._context()))
        start = cursor if cursor is not None else (self.cursors[-1] if self.cursors else "")
        batches = self.session.observations(start)
        await self._stack.enter_async_context(aclosing(batches))  # type: ignore[type-var]
        self._batches: AsyncIterator[Observations] = batches
        return self.session

    def _context(self) -> SweepContext:
        return SweepContext(
            sweep_id=self.tree.sweep_id,
            sweep_dir=self.tree.root,
            project=self.root,
            epoch=self._epoch,
            resources=Resources(),
            variables=self._setting.variables,
            grace_s=self._setting.grace_s,
            program={"digest": "contract"},
            adopted=[order.token for order in self.orders if order.token not in self.endings],
        )

    async def drop(self) -> None:
        """Let the manager die: its end of everything is closed, and nobody was told anything."""
        await self._stack.aclose()

    # Attempts

    def order(
        self,
        argv: Sequence[str],
        *,
        params: Mapping[str, Any] | None = None,
        timeout_s: float | None = None,
        resources: Resources | None = None,
        batch: str = "",
    ) -> AttemptOrder:
        """Return an order for one more attempt."""
        index, token = len(self.orders) + 1, self.world.token()
        text = canonical_json(params if params is not None else {"n": index})
        digest = hashing.config_hash(json.loads(text))
        order = AttemptOrder(
            task=index,
            attempt=1,
            token=token,
            directory=self.tree.attempt_name(index, 1, token),
            argv=tuple(argv),
            params_json=text,
            seed=index,
            config_hash=digest,
            task_key=hashing.task_key(digest, index, "contract"),
            timeout_s=timeout_s,
            resources=resources or Resources(),
            batch=batch,
        )
        self.orders.append(order)
        return order

    async def submit(self, *commands: Sequence[str], **limits: Any) -> list[AttemptOrder]:
        """Hand over one attempt per command; every one must be taken."""
        orders = [self.order(argv, **limits) for argv in commands]
        outcomes = await self.session.submit(orders)
        refused = [outcome for outcome in outcomes if isinstance(outcome, Rejected)]
        assert not refused, f"refused: {refused}"
        assert len(outcomes) == len(orders), "one outcome for each order"
        return orders

    def gate(self) -> Gate:
        """Return a new gate, closed."""
        gate = Gate(self.root / f"gate{len(self._gates)}", self._proceed)
        self._gates.append(gate)
        return gate

    def note(self, word: object) -> tuple[str, ...]:
        """Return a command that writes a word into the log of runs."""
        return NOTE(self.log, word)

    def hold(self, word: object, gate: Gate) -> tuple[str, ...]:
        """Return a command that writes a word into the log of runs and then waits at a gate."""
        return HOLD(self.log, word, gate.path)

    def runs(self) -> list[str]:
        """Return what programs wrote into the log of runs, in order."""
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    # Waiting

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Take observations in until something is so.

        Raises:
            AssertionError: it is not so within `PATIENCE_S`; the message tells what was seen.
        """
        try:
            async with timeout(PATIENCE_S):
                while not is_so():
                    batch = await anext(self._batches)
                    self.seen.extend(batch.seen)
                    self.cursors.append(batch.cursor)
                    self.counts.append(len(self.seen))
        except TimeoutError:
            raise AssertionError(f"did not come true in {PATIENCE_S:g} s; seen: {self.seen}") from None

    async def ended(self, orders: Iterable[AttemptOrder]) -> list[Observation]:
        """Wait until attempts are over, and return how each of them ended."""
        wanted = [order.token for order in orders]
        await self.until(lambda: set(wanted) <= self.endings.keys())
        return [self.endings[token] for token in wanted]

    async def running(self, *orders: AttemptOrder) -> None:
        """Wait until attempts run."""
        wanted = {order.token for order in orders}
        await self.until(lambda: wanted <= {s.token for s in self.seen if s.state is AttemptState.RUNNING})

    @property
    def endings(self) -> dict[str, Observation]:
        """The last word on each attempt that is over."""
        return {seen.token: seen for seen in self.seen if seen.state in FINAL}

    async def fetched(self, order: AttemptOrder) -> Path:
        """Bring an attempt home and return its directory."""
        return (await fetched_all(self, [order]))[0]

    def bearers(self) -> dict[int, str]:
        """Return the living processes of this site's attempts, with the token of each."""
        return bearers({order.token for order in self.orders})

    # The agent, where it is a process of this machine whose records are in the sweep's tree

    @property
    def agent(self) -> Opened | None:
        """How the newest agent introduced itself, None without one."""
        return newest_agent(self.world, home_of(self.tree.root, self.source.name))

    @property
    def agent_pid(self) -> int | None:
        """The process id of the newest agent, None without one."""
        agent = self.agent
        return agent and agent.pid

    # The end

    async def finish(self) -> None:
        """End everything that still runs, take leave, and make sure that nothing stays behind."""
        for gate in self._gates:
            gate.open()
        open_orders = [order for order in self.orders if order.token not in self.endings]
        known = await self.session.find([order.token for order in open_orders])
        await self.session.cancel([ref for refs in known.values() for ref in refs])
        await self.ended(order for order in open_orders if order.token in known)
        await self.session.release()
        pid = self.agent_pid
        gone = pid is None or wait_gone(pid, PATIENCE_S)
        assert gone, "the agent does not leave although nothing is left to do"
        left = self.bearers()
        assert not left, f"processes of attempts are left behind: {left}"

    async def close(self) -> None:
        """Let go of everything, by force where that is needed."""
        await self._stack.aclose()
        for gate in self._gates:
            gate.close()
        pid = self.agent_pid if self._epoch else None
        if pid is not None and not wait_gone(pid, 0):
            os.kill(pid, signal.SIGKILL)
            wait_gone(pid, GONE_S)
        for left in self.bearers():
            os.kill(left, signal.SIGKILL)
        self.world.close()


async def fetched_all(site: Site, orders: Sequence[AttemptOrder]) -> list[Path]:
    """Bring attempts that have ended home by one call, and return their directories in order."""
    wanted = [
        Wanted(
            ref=order.token,
            directory=order.directory,
            report=site.endings[order.token].manifest,
            dest=site.tree.root / order.directory,
        )
        for order in orders
    ]
    results = await site.session.fetch(wanted)
    assert set(results) == {one.ref for one in wanted}, "one result for each attempt"
    faults = {ref: result.fault for ref, result in results.items() if result.fault is not None}
    assert not faults, f"did not come home whole: {faults}"
    return [results[one.ref].directory for one in wanted]
