"""SweepEngine: runs, completes, watches and cancels sweeps. The one entrance for CLI and Python users."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from hsm._version import __version__
from hsm.core import control, snapshots, summary
from hsm.core import events as ev
from hsm.core.bundle import changes, named, write_listing
from hsm.core.completion import holders
from hsm.core.drive import Drive
from hsm.core.epochs import Say, Tenure, check_epoch, holder, last_claim, say_nothing, watch
from hsm.core.errors import HsmError, LedgerError, NothingToEnd, SweepError
from hsm.core.inputs import CancelAsked, DetachAsked, Input
from hsm.core.job import Origin, SweepJob
from hsm.core.ledger import Ledger
from hsm.core.ledger_reader import LedgerReader
from hsm.core.metadata import write_metadata
from hsm.core.program import Program, left_out_words, pin
from hsm.core.projection import Projector
from hsm.core.recorder import Listener
from hsm.core.seal import write_seal
from hsm.core.source import ComputeSource, SweepContext
from hsm.core.spec import SweepSpec
from hsm.core.states import SweepStatus
from hsm.core.storage import STORAGE, create_tree, storage_error
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree, new_sweep_id
from hsm.core.world import World
from hsm.core.zombies import keep, zombie_tails

ASK_AGAIN_S = 0.2
CHANGED = (
    "the program has changed since the sweep began{where}: on this machine tasks run as it is now, which "
    "their reports tell; other hosts run it as it was"
)
TAKEOVER_RISK = (
    "taking the sweep from the engine on {host} without watching its heartbeat: should it be alive, it is "
    "shut out before its next act, but what it hands over at this moment may run too (it is never a result)"
)


def ignore(events: Sequence[ev.Event], tracker: SweepTracker) -> None:
    """Listen to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What became of a sweep under this engine."""

    tree: SweepTree
    status: SweepStatus
    tracker: SweepTracker


class SweepEngine:
    """Runs sweeps. One engine drives one sweep at a time; another engine on the same sweep is refused."""

    def __init__(
        self, world: World | None = None, *, listen: Listener = ignore, say: Say = say_nothing
    ) -> None:
        """Make an engine. `listen` is told every event that is durable, `say` why it waits."""
        self._world = world or World()
        self._listen = listen
        self._say = say
        self._drive: Drive | None = None
        self._asked: list[Input] = []

    async def create_sweep(self, outputs: Path, spec: SweepSpec, origin: Origin) -> SweepTree:
        """Make a new sweep: its tree and its frozen configuration, before anything is run.

        Raises:
            LedgerError: it cannot be written.
        """
        now = self._world.now()
        sweep_id = new_sweep_id(spec.name, now, self._world.rng(self._world.token()))
        tree = SweepTree(Path(self._world.files.resolve(str(outputs))) / sweep_id)
        await self.create_at(tree, spec, origin)
        return tree

    async def create_at(self, tree: SweepTree, spec: SweepSpec, origin: Origin) -> None:
        """Make a new sweep in its place.

        Raises:
            LedgerError: it cannot be written.
        """
        try:
            await self._world.blocking(self._create, tree, spec, origin, self._world.now())
        except OSError as error:
            raise storage_error(tree.root, error) from error

    def _create(self, tree: SweepTree, spec: SweepSpec, origin: Origin, now: float) -> None:
        create_tree(self._world.files, tree)
        self._world.files.replace(str(tree.config), origin.frozen_config.encode("utf-8"), durable=True)
        write_metadata(self._world, tree, spec, origin, now)

    async def run_sweep(self, job: SweepJob) -> SweepResult:
        """Run a sweep that has been created, until it is over or the user leaves.

        Raises:
            HsmError: it cannot be run; whatever was acknowledged is in the ledger.
        """
        return await self._run(job)

    async def complete_sweep(self, job: SweepJob) -> SweepResult:
        """Go on with a sweep from where things stand in the world: adopt what runs, run what is missing.

        Raises:
            EngineRunning: an engine drives it.
            HsmError: it cannot be run.
        """
        return await self._run(job)

    async def cancel_sweep(self, job: SweepJob, tasks: Sequence[int] = ()) -> None:
        """End tasks, all that are open when empty. Durable when this returns.

        A running engine is asked; without one, this engine takes the sweep over and ends them.

        Raises:
            NothingToEnd: it is over, or each of the tasks is.
            SweepError: the sweep's engine is on another host.
            LedgerError: it cannot be done.
        """
        until = self._world.monotonic() + control.ANSWER_S
        while self._world.monotonic() < until:
            tracker, _ = await self._world.blocking(summary.glance, self._world.files, job.tree, job.spec)
            _check_open(tracker, tasks)
            claim = holder(self._world, job.tree, released=tracker.released)
            if claim is None:
                wishes = replace(job.wishes, cancel=True, tasks=tuple(tasks))
                await self._run(replace(job, wishes=wishes))
                return
            if claim.who.host != self._world.identity().host:
                raise SweepError(
                    f"the engine of this sweep is on host {claim.who.host}, pid {claim.who.pid}",
                    hint="run this there; if that engine is dead: `hsm sweep complete ID`, then this again",
                )
            if await control.ask_to_cancel(self._world, claim.socket, tasks):
                return
            await self._world.sleep(ASK_AGAIN_S)  # it is just beginning or leaving: look again who is there
        raise LedgerError("the engine does not answer", hint="`hsm sweep status ID` tells", transient=True)

    async def monitor_sweep(
        self, tree: SweepTree, spec: SweepSpec, *, interval_s: float = 0.5
    ) -> AsyncIterator[tuple[Sequence[ev.Event], SweepTracker]]:
        """Yield what has happened so far and then, for ever, what happens, from the ledger alone."""
        tracker, reader = await self._world.blocking(summary.replay, self._world.files, tree, spec)
        yield (), tracker
        while True:
            await self._world.sleep(interval_s)
            events = await self._world.blocking(lambda: list(reader.events()))
            for event in events:
                tracker.fold(event)
            yield events, tracker

    async def rebuild_sweep(self, tree: SweepTree, spec: SweepSpec) -> SweepTracker:
        """Write every projection of a sweep anew from its ledger."""

        def rebuild() -> SweepTracker:
            tracker, reader = summary.replay(self._world.files, tree, spec)
            Projector(self._world.files, tree).rebuild(tracker)
            if not self._world.files.exists(str(tree.seal)):
                write_seal(self._world.files, tree, tracker, reader.doubt[0])
            snapshots.save(self._world.files, tree, snapshots.freeze(tracker, reader.mark))
            return tracker

        return await self._world.blocking(rebuild)

    def detach(self, reason: str = "the user left") -> None:
        """Begin nothing new and leave as soon as what waits has been taken back; what runs goes on."""
        self._ask(DetachAsked(reason))

    def end(self) -> None:
        """Begin nothing new and end what runs: every task that is open is cancelled."""
        self._ask(CancelAsked(()))

    def _ask(self, wish: Input) -> None:
        self._asked.append(wish)
        if self._drive is not None:
            self._drive.mailbox.put(wish)

    def close(self) -> None:
        """Let go of threads."""
        self._world.close()

    # Running

    async def _run(self, job: SweepJob) -> SweepResult:
        world, tree = self._world, job.tree
        program = await world.blocking(pin, world, job.spec.program, job.project)
        tracker, reader = await world.blocking(summary.replay, world.files, tree, job.spec)
        check_sources(tracker, job.sources, job.wishes.abandon)
        dead = await self._find_dead(job, tracker, reader)
        ledger = await world.blocking(
            Ledger.open,
            world,
            tree,
            reader,
            socket=control.address_of(world, tree),
            released=tracker.released,
            dead=dead,
        )
        tenure = Tenure(world, tree, ledger.claim)
        try:
            async with tenure.beating():
                await world.blocking(Projector(world.files, tree).tidy, tracker, ledger.claim.epoch)
                self._drive = Drive(world, job, tracker, ledger, tenure=tenure, listen=self._listen)
                for wish in self._asked:
                    self._drive.mailbox.put(wish)  # asked while the ledger was being read
                status = await self._drive_it(self._drive, job, program, ledger)
        except (BaseExceptionGroup, OSError) as error:
            told = _first(error, tree)
            if isinstance(told, OSError):  # a successor may have moved things under our hands
                await world.blocking(check_epoch, world.files, str(tree.epochs), ledger.claim)
            raise told from None
        finally:
            self._drive = None
            ledger.close()
        return SweepResult(tree=tree, status=status, tracker=tracker)

    async def _find_dead(self, job: SweepJob, tracker: SweepTracker, reader: LedgerReader) -> int:
        """Return the epoch of an engine on another host that is taken for dead, 0 without one.

        Raises:
            EngineRunning: it lives.
        """
        world, tree = self._world, job.tree
        claim = holder(world, tree, released=tracker.released)
        is_elsewhere = claim is not None and world.is_alive(claim.who) is None
        if job.wishes.takeover:
            last = last_claim(world.files, tree)
            if claim is not None and is_elsewhere:
                self._say(TAKEOVER_RISK.format(host=claim.who.host))
            return last.epoch if last is not None else 0
        if claim is None or not is_elsewhere:
            return 0

        def is_gone() -> bool:
            for event in reader.events():
                tracker.fold(event)
            return holder(world, tree, released=tracker.released) != claim

        return claim.epoch if await watch(world, tree, claim, self._say, is_gone) else 0

    async def _drive_it(self, drive: Drive, job: SweepJob, program: Program, ledger: Ledger) -> SweepStatus:
        spec = job.spec
        context = SweepContext(
            sweep_id=job.tree.sweep_id,
            sweep_dir=job.tree.root,
            project=job.project,
            epoch=ledger.claim.epoch,
            resources=spec.resources,
            variables={"HSM_CPUS": str(spec.resources.cpus), **spec.program.variables},
            grace_s=spec.grace_s,
            program=program.report,
        )
        await self._world.blocking(self._note_program, drive.tracker, job, program)
        openings = self._openings(drive.tracker, job, program, ledger)
        openings += await self._world.blocking(self._zombies, job.tree)
        async with control.listening(self._world, job.tree, drive.mailbox.put):
            return await drive.run(context, openings, program.digest)

    def _note_program(self, tracker: SweepTracker, job: SweepJob, program: Program) -> None:
        """Note what the attempts of the sweep start from; say what is not in it, or not as it was."""
        created = tracker.created
        if created is not None and created.program_digest != program.digest:
            changed = named(changes(self._world.files, job.tree, program))
            self._say(CHANGED.format(where=f" ({changed})" if changed else ""))
            return
        write_listing(self._world.files, job.tree, program)
        if created is None and program.left_out:
            self._say(f"no part of the pinned program: {'; '.join(left_out_words(program.left_out))}")

    def _openings(
        self, tracker: SweepTracker, job: SweepJob, program: Program, ledger: Ledger
    ) -> list[ev.Event]:
        now, who = self._world.now(), ledger.claim.who
        openings: list[ev.Event] = []
        if tracker.created is None:
            created = ev.SweepCreated(
                sweep_id=job.tree.sweep_id,
                name=job.spec.name,
                config_digest=job.spec.config_digest,
                program_digest=program.digest,
                at=now,
            )
            openings.append(created)
        started = ev.EngineStarted(
            epoch=ledger.claim.epoch, host=who.host, pid=who.pid, version=__version__, at=now
        )
        return [*openings, started]

    def _zombies(self, tree: SweepTree) -> list[ev.Event]:
        """Return what is to be said of superseded engines that went on writing."""
        files, now = self._world.files, self._world.now()
        return [
            ev.ZombieFound(
                segment=tail.segment, offset=tail.offset, bytes=tail.bytes, tokens=tail.tokens, at=now
            )
            for tail in zombie_tails(files, tree)
            if keep(files, tree, tail)
        ]


def _check_open(tracker: SweepTracker, tasks: Sequence[int]) -> None:
    """Refuse to end what is over.

    Raises:
        NothingToEnd: the sweep, or each of the tasks, is.
    """
    if tracker.is_over:
        raise NothingToEnd("the sweep is")
    known = [tracker.task(index) for index in tasks if 1 <= index <= len(tracker.tasks)]
    if tasks and all(task.status.is_final for task in known):
        raise NothingToEnd("these tasks are")


def check_sources(
    tracker: SweepTracker, sources: Sequence[ComputeSource], abandon: Sequence[str] = ()
) -> None:
    """Refuse to go on without a source that still has attempts which are not over, unless they are given up.

    Raises:
        SweepError: it names the sources to add.
    """
    missing = sorted(holders(tracker) - {source.name for source in sources} - set(abandon))
    if missing:
        flags = " ".join(f"--source {name}" for name in missing)
        give_up = " ".join(f"--abandon-source {name}" for name in missing)
        raise SweepError(
            f"attempts may still run on {', '.join(missing)}",
            hint=f"add {flags}, so that they are adopted, or {give_up}, if nothing more can be learnt there",
        )


def _first(raised: BaseException, tree: SweepTree) -> BaseException:
    """Return the one error that tells most: an expected one before a defect."""
    leaves = [_told(error, tree) for error in _leaves(raised)]
    expected = [error for error in leaves if isinstance(error, HsmError)]
    return (expected or leaves)[0]


def _told(error: BaseException, tree: SweepTree) -> BaseException:
    """Return an error of the disk under the sweep, from whichever part, as what it means to the user."""
    if isinstance(error, OSError) and error.errno in STORAGE:
        return storage_error(Path(error.filename or tree.root), error)
    return error


def _leaves(raised: BaseException) -> Iterable[BaseException]:
    if not isinstance(raised, BaseExceptionGroup):
        yield raised
        return
    for error in raised.exceptions:
        yield from _leaves(error)


class Detachable(Protocol):
    """What can be asked to let go."""

    def detach(self, reason: str = ...) -> None:
        """Begin nothing new and leave; what runs goes on."""


@asynccontextmanager
async def interruptible(engine: Detachable, say: Callable[[], None]) -> AsyncIterator[None]:
    """Let the first Ctrl-C (or TERM) detach the engine, and the second one leave at once.

    A terminal that is lost sends its signal more than once; that only detaches.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def interrupt() -> None:
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        say()
        engine.detach("interrupted")

    def hang_up() -> None:
        if not asked:
            interrupt()

    for signum, answer in ((signal.SIGINT, interrupt), (signal.SIGTERM, interrupt), (signal.SIGHUP, hang_up)):
        loop.add_signal_handler(signum, answer)
    try:
        yield
    finally:
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.remove_signal_handler(signum)
