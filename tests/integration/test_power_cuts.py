"""The power goes while a sweep runs on ext4 and on XFS: what was acknowledged is there when it comes back.

Manager, agent, programs and their files are on a file system of their own that is cut off at a chosen act of
the manager or the agent (`ioctl` SHUTDOWN without flushing its log), whereupon everybody is killed. What was
acknowledged is written down on another disk. Here ten cuts on each; `make night` does a hundred.
"""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.integration import acknowledging
from tests.integration.cli_project import Project, until
from tests.integration.disks import PowerlessDisk, powerless_disk
from tests.integration.point_project import (
    IS_NIGHT,
    SIDES,
    Death,
    Undisturbed,
    check_bytes,
    check_results,
    deaths,
    finish,
    ran,
    records,
    tree_of,
    undisturbed,
    write_project,
)
from tests.integration.tally import FAULTS

pytestmark = [pytest.mark.integration, pytest.mark.slow]

NUMBERS = 10
CUTS_BY_NIGHT = 100
AGAIN = 19
"""In every third case the power goes a second time, this many acts into the recovery."""


@pytest.fixture(scope="module", params=["ext4", "xfs"])
def disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PowerlessDisk]:
    """Return a disk whose power can be cut."""
    with powerless_disk(request.param, tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, hsm_command: Path) -> Undisturbed:
    """Return what happens when the power stays."""
    return undisturbed(tmp_path_factory.mktemp("whole"), hsm_command)


def cuts(whole: Undisturbed, number: int) -> list[Death]:
    """Return the cuts of one test: one of a spread over all acts of both, by night a tenth of a finer one."""
    count = CUTS_BY_NIGHT if IS_NIGHT else NUMBERS
    found = []
    for step in range(number, count, NUMBERS):
        who = ("manager", "agent")[step % 2]
        last = len(whole.acts[who]) * 9 // 10
        again = (1 + step * AGAIN % 40,) if step % 3 == 0 else ()
        found.append(Death(who=who, at=(1 + step * last // count, *again), side=SIDES[step % 3]))
    return found


def acknowledged(path: Path) -> list[Mapping[str, Any]]:
    """Return what has been acknowledged, in order."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def new_project(folder: Path, disk: PowerlessDisk, death: Death) -> Project:
    """Return a project whose sweeps are on the disk, and which is itself elsewhere."""
    write_project(folder)
    outputs = disk.mount / folder.name
    outputs.mkdir()
    (folder / "sweeps").mkdir()
    (folder / "sweeps" / "outputs").symlink_to(outputs)
    environment = death.environment(folder / "dead", str(outputs), disk.mount)
    command = acknowledging.command(folder)
    return Project(
        root=folder, hsm=command, environment={**environment, "HSM_ACKNOWLEDGED": str(folder / "acks")}
    )


def run_until_cut(project: Project, disk: PowerlessDisk, *words: str) -> bool:
    """Run a command; when the power goes, end everybody and let it come back. Tells whether it went.

    An agent may be at its last acts when the command is over, and it is of them that the power may go.
    """
    mark = project.root / "dead"
    before = deaths(mark)
    running = project.start(*words)

    def is_over() -> bool:
        return running.process.poll() is not None and not disk.users(project.root)

    until(lambda: deaths(mark) > before or is_over(), "the end of all, or a power cut")
    if deaths(mark) == before:
        assert running.process.returncode in (0, 2, 3), running.said()
        return False
    disk.restart(project.root)
    running.process.wait()
    FAULTS[f"power cuts on {disk.kind}"] += 1
    return True


def check_acknowledged(project: Project, held: Sequence[Mapping[str, Any]]) -> None:
    """Check that every acknowledged event is in the ledger, in order, and every sealed byte on the disk."""
    told = acknowledged(project.root / "acks")
    kept = iter(held)
    for event in told:
        assert event in kept, f"acknowledged and lost: {event}"
    tree = tree_of(project)
    for event in told:
        if event["t"] == "attempt_sealed":
            assert tree is not None
            name = f"task_{event['task']:04d}"
            places = [tree / "tasks" / name, *(tree / ".hsm" / "work").glob(f"{name}.{event['attempt']}-*")]
            check_bytes(next(place for place in places if (place / "provenance.json").exists()))
    FAULTS["acknowledged events looked for after a power cut"] += len(told)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("number", range(NUMBERS))
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    tmp_path: Path, disk: PowerlessDisk, whole: Undisturbed, number: int
) -> None:
    """Every event and every byte is there; `complete` ends the sweep as if nothing was, each result once."""
    for death in cuts(whole, number):
        folder = tmp_path / f"{disk.kind}-{str(death).replace(' ', '-')}"
        project = new_project(folder, disk, death)
        assert run_until_cut(project, disk, "sweep", "run", "points.yaml", "-q"), f"{death} never came"
        held = records(project)
        check_acknowledged(project, held)
        if len(death.at) > 1 and held and run_until_cut(project, disk, "sweep", "complete", "last", "-q"):
            before, held = held, records(project)
            assert held[: len(before)] == before
            check_acknowledged(project, held)
        done = {f"task_{event['task']:04d}" for event in held if event["t"] == "attempt_sealed"}
        before_it = ran(project)
        finish(project)
        assert acknowledged(folder / "acks"), "nothing was written down, so nothing has been looked for"
        check_results(project, whole.outputs, held)
        assert {task: ran(project)[task] for task in done} == {task: before_it[task] for task in done}
        shutil.rmtree(disk.mount / folder.name)
