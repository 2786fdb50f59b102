"""The agents that have something in a sweep on this host: whether they run, and how they are ended."""

from __future__ import annotations

import os
from typing import Iterable, List, NamedTuple, Optional

from hsm.compute.agent.host import Host
from hsm.compute.agent.relay import Refusal
from hsm.wire.files import Kind
from hsm.wire.log import LogReader
from hsm.wire.messages import Opened, UnknownMessage, from_record

LEAVING_S = 10.0
"""An agent that was told that nothing more comes leaves within this time."""

DYING_S = 2.0
"""What looks as if it had ended already has so long to do so."""

ENDING_S = 60.0
"""An agent that is ended by force, and what it runs, may take so long."""


class Tenant(NamedTuple):
    """The agent of one source of one sweep, by the directory that holds its logs and its lock."""

    home: str

    @property
    def source(self) -> str:
        """The name of the source."""
        return os.path.basename(self.home)

    def __str__(self) -> str:
        sweep = os.path.dirname(os.path.dirname(os.path.dirname(self.home)))
        return f"sweep {os.path.basename(sweep)} ({self.source})"


class Tenants:
    """Finds agents by their locks and logs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._files = host.files

    def of(self, sweep: str) -> List[Tenant]:
        """Return the agents that were ever started for a sweep here, one for each source."""
        agents = os.path.join(sweep, ".hsm", "agents")
        if self._files.kind(agents) is not Kind.DIRECTORY:
            return []
        names = [name.name for name in self._files.scan(agents) if name.kind is Kind.DIRECTORY]
        return [Tenant(os.path.join(agents, name)) for name in sorted(names)]

    def lock(self, tenant: Tenant) -> Optional[int]:
        """Take an agent's lock, so that none can begin; None while one runs.

        Raises:
            Refusal: the lock is no file.
        """
        path = os.path.join(tenant.home, "lock")
        if self._files.kind(path) not in (Kind.FILE, None):
            raise Refusal(f"{path} is no file")
        try:
            return self._files.lock(path)
        except BlockingIOError:
            return None

    def runs(self, tenants: Iterable[Tenant]) -> bool:
        """Tell whether one of these agents runs."""
        for tenant in tenants:
            lock = self.lock(tenant)
            if lock is None:
                return True
            self._files.close(lock)
        return False

    def elsewhere(self, tenant: Tenant) -> str:
        """Return the other host on which an agent began last, from where it may run; empty where none did."""
        agent = self._last(tenant)
        return agent.host if agent is not None and agent.host != self._host.name() else ""

    def lock_when_left(self, tenant: Tenant) -> Optional[int]:
        """Take the lock of an agent that is leaving; None when it does not leave."""
        lock, agent = self.lock(tenant), self._last(tenant)
        if lock is not None:
            return lock
        if agent is not None and agent.host == self._host.name() and agent.boot == self._host.boot():
            # A process whose first thread has ended holds its lock until the others have.
            self._host.wait_end(agent.pid, LEAVING_S if self._is_here(agent) else DYING_S)
        return self.lock(tenant)

    def end(self, tenant: Tenant) -> Optional[int]:
        """End an agent and what it runs, and take its lock; None when it does not end."""
        lock, agent = self.lock(tenant), self._last(tenant)
        if lock is not None:
            return lock
        if agent is not None and self._is_here(agent):
            self._host.terminate(agent.pid)
            self._host.wait_end(agent.pid, ENDING_S)
        return self.lock(tenant)

    def _is_here(self, agent: Opened) -> bool:
        """Tell whether the process of an agent is still the one that began."""
        is_boot = agent.host == self._host.name() and agent.boot == self._host.boot()
        return is_boot and self._host.start_of(agent.pid) == agent.start

    def _last(self, tenant: Tenant) -> Optional[Opened]:
        for path in reversed(self._files.matching(os.path.join(tenant.home, "records"), ".log")):
            try:
                first = next(LogReader(self._files, path).records(), None)
                opened = from_record(first) if first else None
            except (OSError, UnknownMessage):
                continue
            if isinstance(opened, Opened):
                return opened
        return None
