"""A watch of a large sweep begins with a summary, which knows every detail."""

from pathlib import Path
from random import Random

from hsm.cli.details import is_stub
from hsm.core import snapshots, summary
from hsm.core.storage import create_tree
from hsm.core.tree import SweepTree
from hsm.wire.files import Files
from tests.unit.core.stories import Story
from tests.unit.core.test_tracker import SPEC
from tests.unit.core.worlds import Process, open_ledger


async def test_a_summary_leaves_nothing_to_be_read_for_the_screen(tmp_path: Path) -> None:
    """Every task that had an attempt is known with it: as the whole fold has it."""
    tree = SweepTree(tmp_path / "heat-20260102-030405-abcd")
    create_tree(Files(), tree)
    story = Story(Random(3), tree, SPEC)
    events = story.tell(150)
    writer = Process()
    _, ledger = open_ledger(writer, tree, SPEC)
    await ledger.commit(events)
    ledger.close()
    writer.close()
    snapshots.save(Files(), tree, snapshots.freeze(story.tracker, ledger.mark))
    tracker, _ = summary.glance(Files(), tree, SPEC)
    assert list(tracker.tasks) == list(story.tracker.tasks)
    assert not [
        task.index for task in tracker.tasks if is_stub(task) and story.tracker.task(task.index).attempts
    ]
