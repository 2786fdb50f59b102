"""Removing what HSM made on a host, and nothing else: no link is followed, no ROOT touched that is not ours.

    clean {sweep, all, force, dry_run}        what no sweep here uses; or one sweep; or all there is
    over  {sweep, source, keep_checkpoints}   what a source of a sweep left that is over, once it is home

Both answer with `removed` and `kept` packets. No sweep is touched while an agent of it runs, unless by force.
"""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from typing import Callable, Dict, Iterable, Iterator, List, Mapping

from hsm.compute.agent.apart import apart
from hsm.compute.agent.host import Host
from hsm.compute.agent.pool import bury
from hsm.compute.agent.premises import MARKER, Premises
from hsm.compute.agent.relay import Answer, Refusal, Service
from hsm.compute.agent.retention import Removal, Retention, is_gone
from hsm.compute.agent.shelf import Shelf
from hsm.compute.agent.tenants import Tenant, Tenants
from hsm.wire.bundle import SHA256
from hsm.wire.files import Kind
from hsm.wire.link import Packet

REMOVED = "removed"
KEPT = "kept"
RUNS = "an agent runs"
CHECKPOINTS = "checkpoints"


class Cleaning(Service):
    """Removes what HSM made below ROOT."""

    def __init__(self, host: Host, root: str) -> None:
        self._host = host
        self._files = host.files
        self._premises = Premises(host.files, root)
        self._shelf = Shelf(self._premises, host)
        self._tenants = Tenants(host)

    def answers(self) -> Dict[str, Answer]:
        """Return who answers which kind of packet."""
        return {
            "clean": lambda packet: apart(self._host, lambda: self._clean(packet)),
            "over": lambda packet: apart(self._host, lambda: self._over(packet)),
        }

    # On request

    def _clean(self, packet: Packet) -> Iterator[Packet]:
        wish = packet.fields
        if self._files.kind(self._premises.root) is None:
            return
        self._premises.check()
        retention = Retention(self._host, self._premises, self._shelf, is_dry=bool(wish.get("dry_run", True)))
        with ExitStack() as locks:
            if wish.get("all") is True:
                yield from self._sweeps(retention, retention.sweeps(), wish, locks)
                yield from self._everything(retention)
            elif wish.get("sweep") is not None:
                path = self._premises.sweep(wish["sweep"])
                is_there = self._files.kind(path) is Kind.DIRECTORY
                chosen = {os.path.basename(path): path} if is_there else {}
                yield from self._sweeps(retention, chosen, wish, locks)
            else:
                yield from self._spare(retention)

    def _sweeps(
        self, retention: Retention, chosen: Mapping[str, str], wish: Mapping[str, object], locks: ExitStack
    ) -> Iterator[Packet]:
        """Remove sweeps, none of them before it is known that none has an agent that runs."""
        for path in chosen.values():
            self._lock(path, locks, is_forced=wish.get("force") is True, is_dry=retention.is_dry)
        for name, path in chosen.items():
            if not retention.is_dry:
                self._bury(self._tenants.of(path))
            yield Packet(REMOVED, 0, retention.take(path, f"sweeps/{name}")._asdict())

    def _bury(self, tenants: Iterable[Tenant]) -> None:
        """End what agents that died have left running for batches: no agent comes back to do it."""
        for tenant in tenants:
            bury(self._host, tenant.home)

    def _lock(self, sweep: str, locks: ExitStack, *, is_forced: bool, is_dry: bool) -> None:
        """Make sure that no agent of a sweep runs, nor can begin to.

        Raises:
            Refusal: one does.
        """
        for tenant in self._tenants.of(sweep):
            lock = self._tenants.lock(tenant)
            if lock is None and is_forced and not is_dry:
                lock = self._tenants.end(tenant)
            if lock is not None:
                locks.callback(self._files.close, lock)
            elif not (is_forced and is_dry):
                raise Refusal(f"{RUNS} for {tenant}")
            host = self._tenants.elsewhere(tenant)
            if host and not is_forced:
                raise Refusal(f"an agent may run on {host} for {tenant}")

    def _spare(self, retention: Retention) -> Iterator[Packet]:
        """Remove what no sweep uses, and tell of the sweeps that stay."""
        for removal in retention.removals(retention.spare()):
            yield Packet(REMOVED, 0, removal._asdict())
        runs = {name: self._tenants.runs(self._tenants.of(path)) for name, path in retention.sweeps().items()}
        if not any(runs.values()):
            yield from self._older_agents(retention)
        for name, path in retention.sweeps().items():
            reason = RUNS if runs.get(name) else "its results may not be home yet"
            yield _kept(retention.measured(path, f"sweeps/{name}"), reason)

    def _older_agents(self, retention: Retention) -> Iterator[Packet]:
        """Remove the agents of other versions than the one that this relay is of."""
        agents = self._premises.agents
        if self._files.kind(agents) is not Kind.DIRECTORY:
            return
        own = os.path.basename(os.path.dirname(sys.argv[0]))
        for name in sorted(name for name in self._files.list(agents) if _is_digest(name) and name != own):
            yield Packet(REMOVED, 0, retention.take(os.path.join(agents, name), f"agents/{name}")._asdict())

    def _everything(self, retention: Retention) -> Iterator[Packet]:
        """Remove all that has one of our names, the directory last, unless something else is in it."""
        root, files = self._premises.root, self._files
        for name, is_ours in _OURS.items():
            yield from self._emptied(retention, name, is_ours)
        if retention.is_dry:
            return
        for name in _OURS:
            path = os.path.join(root, name)
            if files.kind(path) is Kind.DIRECTORY and not files.list(path):
                retention.remove(path)
        rest = [name for name in files.list(root) if name != MARKER]
        for name in rest:
            yield _kept(Removal(name, 0, 0), "not made by HSM")
        if not rest:
            retention.remove(root)

    def _emptied(
        self, retention: Retention, directory: str, is_ours: Callable[[str], bool]
    ) -> Iterator[Packet]:
        path = os.path.join(self._premises.root, directory)
        if self._files.kind(path) is not Kind.DIRECTORY:
            return
        names = [name.name for name in self._files.scan(path) if is_ours(name.name)]
        gone: List[Removal] = [retention.take(os.path.join(path, name), name) for name in names]
        if gone:
            size = 0 if directory == "bundles" else sum(one.bytes for one in gone)  # links to objects
            removal = Removal(directory, sum(one.files for one in gone), size)
            yield Packet(REMOVED, 0, removal._asdict())

    # When a sweep is over

    def _over(self, packet: Packet) -> Iterator[Packet]:
        source = packet.fields.get("source")
        path = self._premises.sweep(packet.fields.get("sweep"))
        name = f"sweeps/{os.path.basename(path)}"
        if self._files.kind(path) is not Kind.DIRECTORY:
            return
        self._premises.check()
        retention = Retention(self._host, self._premises, self._shelf)
        everybody = self._tenants.of(path)
        mine = [tenant for tenant in everybody if tenant.source == source]
        with ExitStack() as locks:
            for tenant in mine:
                lock = self._tenants.lock_when_left(tenant)
                if lock is None:
                    yield _kept(Removal(name, 0, 0), RUNS)
                    return
                locks.callback(self._files.close, lock)
            self._bury(mine)
            if mine == everybody:
                yield from self._end(
                    retention, path, name, keeps=packet.fields.get("keep_checkpoints") is True
                )
            elif mine:  # hosts that share a disk: the last of the sources removes the rest
                yield Packet(REMOVED, 0, retention.take(mine[0].home, f"{name}/{source}")._asdict())

    def _end(self, retention: Retention, path: str, name: str, *, keeps: bool) -> Iterator[Packet]:
        """Remove a sweep, or all of it but the checkpoints of its tasks where there are any."""
        own = os.path.join(path, ".hsm")
        kept = os.path.join(own, CHECKPOINTS)
        if not keeps or self._files.kind(kept) is not Kind.DIRECTORY or not self._files.list(kept):
            yield Packet(REMOVED, 0, retention.take(path, name)._asdict())
            return
        gone = [
            retention.take(os.path.join(directory, one), one)
            for directory, stays in ((path, ".hsm"), (own, CHECKPOINTS))
            for one in self._files.list(directory)
            if one != stays
        ]
        removal = Removal(name, sum(one.files for one in gone), sum(one.bytes for one in gone))
        yield Packet(REMOVED, 0, removal._asdict())
        yield _kept(retention.measured(kept, f"{name}/.hsm/{CHECKPOINTS}"), "tasks may be tried again")


def _kept(removal: Removal, reason: str) -> Packet:
    return Packet(KEPT, 0, {**removal._asdict(), "reason": reason})


def _is_digest(name: str) -> bool:
    return SHA256.fullmatch(name) is not None


def _is_of_bundle(name: str) -> bool:
    return any(_is_digest(word) for word in name.split(".")[:2])


def _is_of_objects(name: str) -> bool:
    is_folder = len(name) == 2 and all(letter in "0123456789abcdef" for letter in name)
    return is_folder or (name.startswith(".") and _is_digest(name.split(".")[1]))


_OURS: Mapping[str, Callable[[str], bool]] = {
    "sweeps": is_gone,
    "agents": _is_digest,
    "bundles": _is_of_bundle,
    "objects": _is_of_objects,
}
