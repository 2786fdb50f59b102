"""The simulated batch system behaves as a real one does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from hsm.core.source import AttemptOrder
from hsm.sim.cluster import Cluster
from hsm.sim.contents import Hazards
from hsm.sim.disk import Disk
from hsm.sim.loop import SimLoop
from hsm.sim.machine import Machine
from hsm.sim.program import Behaviour
from hsm.sim.truth import Truth

TOKEN = "a" * 32


@dataclass
class Site:
    """A batch system with one job that runs for ten seconds and has left a daemon."""

    loop: SimLoop
    node: Machine
    cluster: Cluster

    def after(self, seconds: float) -> None:
        over: asyncio.Future[None] = self.loop.create_future()
        self.loop.call_later(seconds, over.set_result, None)
        self.loop.run_until_complete(over)

    @property
    def running(self) -> list[str]:
        return sorted(program.name for program in self.node.programs())


def order(token: str) -> AttemptOrder:
    return AttemptOrder(
        task=1,
        attempt=1,
        token=token,
        directory="work/a",
        argv=("run",),
        params_json="{}",
        seed=0,
        config_hash="c",
        task_key="k",
    )


@pytest.fixture
def site() -> Iterator[Site]:
    loop = SimLoop(Random(1))
    disk = Disk(loop.trace)
    node = Machine("node", loop, {"/": disk}, rng=Random(2), truth=Truth(), hazards=Hazards())
    behaviour = Behaviour(duration_s=10.0, leaves_daemon=True)
    here = Site(loop, node, Cluster(node, lambda _hash, _attempt: behaviour, slots=1))
    node.files_of(node.add_process("user")).make_directories("/sweep/work")
    here.cluster.submit(order(TOKEN), "/sweep", shown_in_s=0.0)
    here.after(6.0)
    assert here.running == ["daemon", "job"]
    yield here
    loop.close()


def test_a_job_that_is_cancelled_leaves_nothing_behind(site: Site) -> None:
    """Its daemons end with it, as they do when it ends by itself."""
    assert site.cluster.cancel(1, TOKEN)
    assert site.running == []


def test_a_job_that_ends_leaves_nothing_behind(site: Site) -> None:
    """Nor one that comes to its end."""
    site.after(5.0)
    assert site.running == []


def test_a_job_runs_although_who_submitted_it_is_gone(site: Site) -> None:
    """The batch system is nobody's child: an engine may end right after its submit (seed 26957)."""
    site.after(5.0)
    engine = site.node.add_process("engine")
    site.loop.call_in(engine, 0.0, site.cluster.submit, order("c" * 32), "/sweep", 0.0)
    site.loop.call_later(0.1, site.node.kill, engine)
    site.after(0.2)
    assert not engine.alive
    site.after(20.0)
    assert site.cluster.accounted("c" * 32) == 2
    assert site.cluster.open_jobs == 0


def test_the_accounting_has_what_listings_lack(site: Site) -> None:
    """Who asks for one job by its token is told of it, also while the queue is listed without it."""
    site.cluster.blind_until = site.cluster.now + 20.0
    assert site.cluster.number_of(TOKEN) is None
    assert site.cluster.accounted(TOKEN) == 1
    assert site.cluster.accounted("b" * 32) is None
