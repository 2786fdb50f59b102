"""Epochs: who drives a sweep. Each engine claims the next number, and whoever held an older one is fenced.

.hsm/epochs/000003.claim     linked into place, so two engines never share an epoch
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from hsm.core.errors import EngineRunning, LedgerCorrupt
from hsm.core.tree import SweepTree
from hsm.core.world import Identity, World
from hsm.wire.files import Files


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


def running(world: World, claim: Claim) -> EngineRunning:
    """Return the error that tells who drives the sweep, and what can be done about it."""
    who = claim.who
    if who.host == world.identity().host:
        hint = f"watch it: `hsm monitor watch`; end it: `kill {who.pid}`, then `hsm sweep complete ID`"
    else:
        hint = f"if the engine on {who.host} is surely dead: `hsm sweep complete ID --takeover`"
    return EngineRunning(f"an engine on host {who.host}, pid {who.pid}, drives this sweep", hint=hint)


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
    except FileExistsError as error:
        raise EngineRunning("another engine took this sweep at this very moment", transient=True) from error
    return claim
