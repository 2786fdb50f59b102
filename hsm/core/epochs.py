"""Epochs: who drives a sweep. Each engine claims the next number, and whoever held an older one is fenced.

    .hsm/epochs/000003.claim     linked into place, so two engines never share an epoch
    .hsm/epochs/000003.beat      a counter that its engine rewrites every few seconds

An engine on this host is dead when its process is; of one on another host only the counter tells, read by
opening the file anew and timed by the reader's own monotonic clock. Nothing here needs a lock or trusts a
wall clock. That no engine acts after it was superseded is seen to by `Tenure.check` before every act, and,
for what slips through, by the places up to which ledger and inboxes of older epochs count.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from hsm.core.errors import EngineRunning, Fenced, LedgerCorrupt, LedgerError
from hsm.core.tree import SweepTree
from hsm.core.world import Identity, World
from hsm.wire.files import Files

BEAT_S = 5.0
"""So often an engine rewrites its counter."""

STALE_S = 20.0
"""An engine that could not do so for this long does nothing until it can."""

SILENCE_S = 60.0
"""A counter that stands still for so long is that of a dead engine."""

LOOK_S = 1.0
TELL_S = 10.0

Say = Callable[[str], None]


def say_nothing(_text: str) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who holds an epoch, and the socket by which it can be asked things."""

    epoch: int
    who: Identity
    socket: str
    token: str


def last_claim(files: Files, tree: SweepTree) -> Claim | None:
    """Return who holds, or last held, the sweep."""
    claims = files.matching(str(tree.epochs), ".claim")
    if not claims:
        return None
    try:
        content = json.loads(files.contents(claims[-1]))
        who = Identity(**content["who"])
        return Claim(epoch=content["epoch"], who=who, socket=content["socket"], token=content["token"])
    except (ValueError, KeyError, TypeError) as error:
        raise LedgerCorrupt(f"{claims[-1]} is damaged: {error}") from error


def holder(world: World, tree: SweepTree, *, released: int) -> Claim | None:
    """Return the claim of an engine that drives the sweep, or that may do so on another host.

    `released` is the epoch whose engine let go in good order at the end of the ledger, 0 when none did.
    """
    claim = last_claim(world.files, tree)
    if claim is None or claim.epoch == released:
        return None
    if claim.who == world.identity():
        return claim if claim.token in HELD else None
    return None if world.is_alive(claim.who) is False else claim


HELD: set[str] = set()
"""Tokens of the claims that this process holds: one that it gave up after an error does not bar it."""


def running(world: World, claim: Claim, *, beats: bool = False) -> EngineRunning:
    """Return the error that tells who drives the sweep, and what can be done about it."""
    who = claim.who
    if who.host == world.identity().host:
        hint = f"watch it: `hsm monitor watch`; end it: `kill {who.pid}`, then `hsm sweep complete ID`"
    elif beats:
        hint = f"it is alive: its heartbeat moves; on {who.host}, `kill {who.pid}` lets it go"
    else:
        hint = f"if the engine on {who.host} is surely dead: `hsm sweep complete ID --takeover`"
    return EngineRunning(f"an engine on host {who.host}, pid {who.pid}, drives this sweep", hint=hint)


# Taking a sweep


def take(world: World, tree: SweepTree, *, socket: str, released: int, dead: int = 0) -> Claim:
    """Take the next epoch, unless an engine drives the sweep.

    `dead` is an epoch whose engine, on another host, is taken for dead: it was found silent, or somebody
    says so.

    Raises:
        EngineRunning: an engine drives the sweep.
        OSError: the claim cannot be written.
    """
    current = holder(world, tree, released=released)
    if current is not None and (current.epoch != dead or world.is_alive(current.who)):
        raise running(world, current)
    return claim_epoch(world, tree, socket)


def claim_epoch(world: World, tree: SweepTree, socket: str) -> Claim:
    """Take the next epoch of a sweep; whoever held it before is fenced from then on.

    Raises:
        EngineRunning: somebody else took it at this very moment.
        OSError: the claim cannot be written.
    """
    last = last_claim(world.files, tree)
    claim = Claim(
        epoch=last.epoch + 1 if last else 1, who=world.identity(), socket=socket, token=world.token()
    )
    path = tree.epochs / f"{claim.epoch:06d}.claim"
    try:
        world.files.publish(str(path), json.dumps(asdict(claim)).encode() + b"\n", part=claim.token)
    except OSError as error:
        if _holds(world, tree, claim):
            return claim  # it was done, and only the answer of a file server was lost
        if isinstance(error, FileExistsError):
            raise EngineRunning(
                "another engine took this sweep at this very moment", transient=True
            ) from error
        raise
    return claim


def _holds(world: World, tree: SweepTree, claim: Claim) -> bool:
    """Tell whether an epoch is ours, by what stands in its claim."""
    found = world.files.read(str(tree.epochs / f"{claim.epoch:06d}.claim"), 0)
    return claim.token.encode() in found


async def watch(world: World, tree: SweepTree, claim: Claim, say: Say, is_gone: Callable[[], bool]) -> bool:
    """Watch the heartbeat of an engine on another host; True when it stands still for `SILENCE_S`.

    False says that `is_gone`: it let go in the meantime. May take as long as `SILENCE_S`.

    Raises:
        EngineRunning: it lives.
    """
    host, began = claim.who.host, world.monotonic()
    first = await world.blocking(read_beat, world, tree, claim.epoch)
    say(
        f"an engine on host {host}, pid {claim.who.pid}, may drive this sweep: watching its heartbeat for "
        f"{SILENCE_S:g} s (--takeover does not wait; only if that engine is surely dead)"
    )
    told = began
    while world.monotonic() < began + SILENCE_S:
        await world.sleep(LOOK_S)
        if await world.blocking(is_gone):
            return False
        if await world.blocking(read_beat, world, tree, claim.epoch) != first:
            raise running(world, claim, beats=True)
        if world.monotonic() >= told + TELL_S:
            told = world.monotonic()
            say(f"no heartbeat from {host} for {told - began:.0f} s of {SILENCE_S:g} s")
    say(f"no heartbeat from {host} for {SILENCE_S:g} s: its engine is taken for dead")
    return True


def read_beat(world: World, tree: SweepTree, epoch: int) -> bytes:
    """Return the counter of an epoch's engine, empty while there is none; by opening it: a `stat` may lie."""
    return world.files.read(str(_beat_path(tree, epoch)), 0, 64)


def _beat_path(tree: SweepTree, epoch: int) -> str:
    return f"{tree.epochs}/{epoch:06d}.beat"


# Holding it


class Tenure:
    """An epoch that this engine holds: its heartbeat, and the question whether it is still ours."""

    def __init__(self, world: World, tree: SweepTree, claim: Claim) -> None:
        self.claim = claim
        self._world = world
        self._tree = tree
        self._count = 0
        self._beaten_at = -math.inf
        self._lets_go = False

    @asynccontextmanager
    async def beating(self) -> AsyncIterator[None]:
        """Keep the heart beating meanwhile.

        Raises:
            Fenced: in a group, a newer engine has taken the sweep; also while this one has nothing to do.
        """
        async with asyncio.TaskGroup() as group:
            heart = group.create_task(self._beat_on())
            try:
                yield
            finally:
                heart.cancel()

    async def _beat_on(self) -> None:
        while True:
            await self._world.blocking(self._try_to_beat)
            if not self._lets_go:
                await self._world.blocking(self._look)
            await self._world.sleep(BEAT_S)

    def _look(self) -> None:
        with contextlib.suppress(OSError):  # `check` will say so before the next act
            check_epoch(self._world.files, str(self._tree.epochs), self.claim)

    def let_go(self) -> None:
        """Mind no successor from here on: all that is left to say is that this engine lets go."""
        self._lets_go = True

    def _try_to_beat(self) -> None:
        try:
            self.beat()
        except OSError:
            return  # `check` will know that it is old

    def beat(self) -> None:
        """Rewrite the counter.

        Raises:
            OSError: it cannot be written.
        """
        began = self._world.monotonic()
        self._count += 1
        self._world.files.replace(_beat_path(self._tree, self.claim.epoch), b"%d\n" % self._count)
        self._beaten_at = began

    async def check(self) -> None:
        """Make sure, before an act, that this engine may act. Waits while its heartbeat cannot be written.

        Raises:
            Fenced: a newer engine has taken the sweep.
            LedgerError: the claims cannot be listed.
        """
        while not await self._world.blocking(self._may_act):
            await self._world.sleep(LOOK_S)

    def _may_act(self) -> bool:
        """Tell whether others cannot have taken this engine for dead, after looking whether they have."""
        try:
            if self._world.monotonic() > self._beaten_at + STALE_S:
                self._try_to_beat()
            check_epoch(self._world.files, str(self._tree.epochs), self.claim)
        except OSError as error:
            raise LedgerError(
                f"{self._tree.epochs}: {error.strerror}: another engine may have taken this sweep over",
                hint="nothing is lost; `hsm sweep complete ID` goes on when the disk answers again",
                transient=True,
            ) from error
        return self._world.monotonic() <= self._beaten_at + STALE_S


def check_epoch(files: Files, epochs: str, claim: Claim) -> None:
    """Stop at once when a newer engine has taken the sweep, or the claims are gone: lists the directory.

    Raises:
        Fenced: it has.
        OSError: they cannot be listed.
    """
    if next_claim(claim) in files.list(epochs):
        raise superseded(claim)


def next_claim(claim: Claim) -> str:
    """Return the name of the claim that supersedes another one: epochs have no gaps."""
    return f"{claim.epoch + 1:06d}.claim"


def superseded(claim: Claim) -> Fenced:
    """Return the error of an engine that a newer one has shut out."""
    return Fenced(
        f"another engine took this sweep over, as epoch {claim.epoch + 1}",
        hint="nothing is lost: it goes on from here; `hsm monitor watch` shows it",
    )
