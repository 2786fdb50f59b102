"""What is said beside the numbers: who drives a sweep, and what to do when nobody seems to."""

from pathlib import Path
from random import Random

import pytest

from hsm.cli.commands.sweep_status import notice
from hsm.cli.workspace import Look, Workspace
from hsm.config import Project
from hsm.core.epochs import Claim
from hsm.core.storage import create_tree
from hsm.core.tree import SweepTree
from hsm.core.world import Identity, World
from hsm.wire.files import Files
from tests.unit.core.stories import Story
from tests.unit.core.test_tracker import SPEC

ELSEWHERE = Claim(epoch=1, who=Identity(host="node7", boot="b", pid=19, start="s"), socket="", token="t")


@pytest.mark.parametrize(
    ("silent_s", "said"),
    [
        (5.0, "its engine is on node7, pid 19, and cannot be seen from here"),
        (7200.0, "silent for 2.0 h; its engine is on node7, pid 19; if that is dead: hsm sweep complete "),
    ],
)
def test_an_engine_on_another_host_is_not_asserted_to_live(
    tmp_path: Path, silent_s: float, said: str
) -> None:
    """It cannot be asked; when it has been silent, the command that takes over is named."""
    outputs = tmp_path / "sweeps" / "outputs"
    tree = SweepTree(outputs / "heat-20260102-030405-abcd")
    create_tree(Files(), tree)
    story = Story(Random(1), tree, SPEC)
    list(story.tell(50))
    world = World()
    space = Workspace(world, Project.bare(tmp_path), outputs)
    assert story.tracker.last_at is not None
    look = Look(tree, SPEC, story.tracker, ELSEWHERE, story.tracker.last_at + silent_s)
    told = notice(space, look)
    world.close()
    assert told.startswith(said)
    assert told.endswith("--takeover") is (silent_s > 60)
