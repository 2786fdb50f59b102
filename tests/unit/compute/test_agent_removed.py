"""An agent whose sweep is removed under it."""

from __future__ import annotations

from pathlib import Path

from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import Host
from hsm.compute.agent.service import Agent, Leave, Paths


class Untouched(Host):
    """This machine, of whose signals and orphans nothing is changed."""

    def become_subreaper(self) -> None:
        """Leave orphans to whom they go."""


class Quiet(Bell):
    """A bell that signals do not ring."""

    def hear_signals(self, stop: object) -> None:
        """Leave the handlers of this process as they are."""


def test_an_agent_that_finds_its_inbox_gone_winds_up(tmp_path: Path) -> None:
    """It may look for orders before it has anything to record; that is no error."""
    paths = Paths(str(tmp_path / "sweep"), str(tmp_path / "sweep" / "agent"))
    for directory in (paths.inbox, paths.records):
        Path(directory).mkdir(parents=True)
    bell = Quiet(None)
    agent = Agent(paths, Untouched(), Leave(0.0, 3600.0), bell=bell, address="")
    agent.begin()
    assert agent.turn(), "it waits for orders"
    Path(paths.sweep).rename(tmp_path / "gone")
    bell.rang = True
    assert not agent.turn()
    agent.close()
    assert not Path(paths.sweep).exists()
