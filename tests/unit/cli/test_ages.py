"""What is shown of tasks far away tells its age where the link is bad, and nothing where it is good."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hsm.cli.ages import age_of, aged
from hsm.cli.commands.logs import Following
from hsm.cli.console import Console, text_of
from hsm.cli.screen import lanes
from hsm.core.hearing import note_heard
from hsm.core.model import Attempt, Task
from hsm.core.states import AttemptState, TaskStatus
from hsm.core.tree import SweepTree
from hsm.core.world import World
from tests.unit.cli.test_screen import LANE, PROGRESS
from tests.unit.core.worlds import sweep_spec

SOURCE = "ssh:alpha"
AWAY = replace(LANE, name=SOURCE)


@pytest.fixture
def world() -> Iterator[World]:
    found = World()
    yield found
    found.close()


@pytest.fixture
def tree(tmp_path: Path) -> SweepTree:
    (tmp_path / ".hsm" / "agents" / SOURCE).mkdir(parents=True)
    return SweepTree(tmp_path)


def running(state: TaskStatus = TaskStatus.RUNNING) -> Task:
    attempt = Attempt(number=1, token="t" * 32, source=SOURCE, state=AttemptState.RUNNING)
    return Task(index=1, config_hash="", task_key="", params_json="{}", attempts=(attempt,), status=state)


def test_a_source_tells_how_old_its_news_are(world: World, tree: SweepTree) -> None:
    """`as of 40 s ago` for a silent host, nothing for a local source or one that was just heard."""
    now = replace(PROGRESS, lanes=(LANE, AWAY))
    assert "as of" not in " ".join(map(text_of, lanes(aged(world, tree, now))))
    note_heard(world.files, tree.root, SOURCE, world.now() - 1)
    assert "as of" not in " ".join(map(text_of, lanes(aged(world, tree, now))))
    note_heard(world.files, tree.root, SOURCE, world.now() - 40)
    here, away = map(text_of, lanes(aged(world, tree, now)))
    assert "as of" not in here
    assert "as of 40 s ago" in away


def test_the_log_of_a_running_task_tells_its_age(world: World, tree: SweepTree) -> None:
    """Only while it runs: what is over is whole."""
    note_heard(world.files, tree.root, SOURCE, world.now() - 40)
    assert age_of(world, tree, running()) == f"as of 40 s ago, no word from {SOURCE} since"
    assert age_of(world, tree, running(TaskStatus.SEALED)) == ""


def test_who_follows_is_told_once_each_way(world: World, tree: SweepTree) -> None:
    """That no word comes, and that it does again."""
    err = io.StringIO()
    console = Console(io.StringIO(), err, {"NO_COLOR": "1"})
    following = Following(console, world, tree, sweep_spec())
    for age_s in (1, 40, 41, 1, 1, 50):
        note_heard(world.files, tree.root, SOURCE, world.now() - age_s)
        following.tell_ages([running()])
    assert err.getvalue().splitlines() == [
        f"warning: as of 40 s ago, no word from {SOURCE} since",
        f"word comes from {SOURCE} again",
        f"warning: as of 50 s ago, no word from {SOURCE} since",
    ]
