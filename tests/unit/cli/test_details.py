"""Tasks that a summary knows by their status alone get their details when they come into sight."""

import asyncio
from pathlib import Path
from random import Random

from hsm.cli.details import Details, is_stub
from hsm.cli.workspace import Look, Workspace
from hsm.config import Project
from hsm.core import summary
from hsm.core.ledger import create_tree
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files
from tests.unit.core.stories import Story
from tests.unit.core.test_tracker import SPEC
from tests.unit.core.worlds import Process, open_ledger


async def test_what_comes_into_sight_is_read_once_with_what_is_around(tmp_path: Path) -> None:
    """Afterwards each row is the task of the whole fold; until then it is shown as far as it is known."""
    tree = SweepTree(tmp_path / "heat-20260102-030405-abcd")
    create_tree(Files(), tree)
    story = Story(Random(3), tree, SPEC)
    events = story.tell(150)
    writer = Process()
    _, ledger = open_ledger(writer, tree, SPEC)
    await ledger.commit(events)
    ledger.close()
    writer.close()
    summary.save(Files(), tree, summary.freeze(story.tracker, ledger.mark))
    tracker, _ = summary.glance(Files(), tree, SPEC)
    stubs = [task.index for task in tracker.tasks if is_stub(task)]
    assert len(stubs) > 1

    world, news = World(), asyncio.Event()
    space = Workspace(world, Project.bare(tmp_path), tmp_path)
    details = Details(space, lambda: Look(tree, SPEC, tracker, None, 0.0), news)
    rows = [task.index for task in tracker.tasks]
    assert details.task(tracker, stubs[0]) is tracker.task(stubs[0])
    async with asyncio.TaskGroup() as group:
        reading = group.create_task(details.keep())
        details.want(tracker, rows, stubs[0], len(rows))
        async with asyncio.timeout(10):
            await news.wait()
        assert [details.task(tracker, index) for index in stubs] == [
            story.tracker.task(index) for index in stubs
        ]
        news.clear()
        details.want(tracker, rows, stubs[0], len(rows))
        await asyncio.sleep(0)
        assert not news.is_set(), "what is known is not read again"
        reading.cancel()
    world.close()
