"""A source as the engine drives it: opened again when it fails, and no more once the sweep takes leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hsm.compute.testing.memory import MemoryMachine, MemorySource
from hsm.core.errors import SourceError
from hsm.core.inputs import Input, LaneOpened
from hsm.core.lane import Lane
from hsm.core.source import SourceSession, SweepContext
from hsm.core.spec import Resources
from hsm.core.world import World
from tests.unit.core.worlds import new_tree, tenure_of


class Cut(MemorySource):
    """A source whose line is cut when it is told that nothing more comes."""

    @asynccontextmanager
    async def session(self, context: SweepContext) -> AsyncIterator[SourceSession]:
        async with super().session(context) as session:
            session.release = self._cut  # type: ignore[method-assign]
            yield session

    async def _cut(self) -> None:
        raise SourceError(self.name, "the link was cut", transient=True)


async def test_a_source_that_fails_while_the_sweep_takes_leave_is_opened_no_more(tmp_path: Path) -> None:
    """It would make anew on its host what had just been cleared away there."""
    world, tree, said = World(), new_tree(tmp_path), list[Input]()
    context = SweepContext(
        sweep_id=tree.sweep_id,
        sweep_dir=tree.root,
        project=tmp_path,
        epoch=1,
        resources=Resources(),
        variables={},
        grace_s=1.0,
        program={},
    )
    lane = Lane(world, Cut(MemoryMachine(world, slots=1)), tenure_of(world, tree), said.append)
    running = asyncio.create_task(lane.run(lambda: context, str))
    await lane.tried()
    async with asyncio.timeout(10):
        await lane.release()
        await running
    assert [type(one) for one in said] == [LaneOpened]
    assert not lane.is_open
