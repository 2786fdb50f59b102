"""Manager and agent, each killed at every act on the disk: nothing acknowledged is lost, nothing runs twice.

Here about twenty of the points of each; `make night` takes them all.
"""

import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, until
from tests.integration.point_project import (
    IS_NIGHT,
    SIDES,
    SLOTS,
    TASKS,
    Death,
    Undisturbed,
    begin,
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

POINTS = 21
DEEP = 5
LAST_SHARE = 0.9
"""How many acts a run has differs a little; nearer to the end a process may be done before it is killed."""


def project_in(folder: Path, hsm: Path, death: Death) -> Project:
    """Return a project in which somebody dies so."""
    write_project(folder)
    return Project(root=folder, hsm=hsm, environment=death.environment(folder / "dead", "/sweeps/outputs"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, hsm_command: Path) -> Undisturbed:
    """Return what happens when nobody is killed."""
    return undisturbed(tmp_path_factory.mktemp("whole"), hsm_command)


def points(acts: Sequence[str], number: int) -> list[tuple[int, str]]:
    """Return the points of one test: a single one of a spread, by night its share of all of them."""
    last = int(len(acts) * LAST_SHARE)
    if IS_NIGHT:
        return [(at, side) for at in range(1 + number, last + 1, POINTS) for side in SIDES]
    return [(1 + number * (last - 1) // (POINTS - 1), SIDES[number % 3])]


LEDGER = r"/\.hsm/ledger/\S+\.hsl"
RECORDS = r"/\.hsm/agents/local/records/\S+\.log"
DURABLE = [
    ("a new sweep and its frozen configuration", "manager", r"fsync \S+/sweep_config\.yaml\.part", ""),
    ("a plan", "manager", r"(fsync|fdatasync) \S+/\.hsm/plan/", ""),
    ("an intent, before its source hears of it", "manager", "fdatasync .*" + LEDGER, "attempt_intended"),
    ("what is handed over", "manager", r"fdatasync .*/inbox/", ""),
    ("the claim of an attempt", "agent", r"mkdir .*/\.hsm/work/", ""),
    ("an exit record", "agent", "fdatasync .*" + RECORDS, "ended"),
    ("that an attempt has ended", "manager", "fdatasync .*" + LEDGER, "attempt_exited"),
    ("artifacts, before their seal", "manager", "syncfs ", ""),
    ("a seal", "manager", "fdatasync .*" + LEDGER, "attempt_sealed"),
    ("the next generation", "manager", "fdatasync .*" + LEDGER, "generation_planned"),
    ("the claim of an epoch", "manager", r"fsync .*/\.hsm/epochs", ""),
]


@pytest.mark.parametrize(
    ("who", "pattern", "event"), [row[1:] for row in DURABLE], ids=[row[0] for row in DURABLE]
)
def test_every_point_of_durability_is_among_the_acts(
    whole: Undisturbed, who: str, pattern: str, event: str
) -> None:
    """So that killing at every act kills on both sides of each: the act itself, and what it makes durable."""
    acts = whole.acts[who]
    found = [index for index, act in enumerate(acts) if re.match(pattern, act)]
    assert found, "\n".join(acts)
    if event:
        assert any(event in acts[index - 1].split()[2:] for index in found), "\n".join(acts)


def test_a_seal_is_written_only_after_its_artifacts_are_durable(whole: Undisturbed) -> None:
    """Between what was committed before and the seal stands the sync of the whole file system."""
    acts = whole.acts["manager"]
    commits = [index for index, act in enumerate(acts) if re.match("write .*" + LEDGER, act)]
    seals = [place for place, index in enumerate(commits) if "attempt_sealed" in acts[index].split()[2:]]
    assert seals
    for place in seals:
        between = acts[commits[place - 1] : commits[place]]
        assert any(act.startswith("syncfs ") for act in between), between


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(POINTS))
def test_a_manager_killed_at_any_act_costs_nothing(
    tmp_path: Path, hsm_command: Path, whole: Undisturbed, number: int
) -> None:
    """Whatever it was doing: `complete` ends the sweep, every record stays, every task was run once."""
    for at, side in points(whole.acts["manager"], number):
        death = Death(who="manager", at=(at,), side=side)
        project = project_in(tmp_path / f"{at}-{side}", hsm_command, death)
        assert begin(project).code == -9, death
        FAULTS["managers killed at an act"] += 1
        known = records(project)
        finish(project)
        check_results(project, whole.outputs, known)
        assert set(ran(project).values()) == {1}, f"{death}: {ran(project)}"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(POINTS))
def test_an_agent_killed_at_any_act_costs_what_it_ran(
    tmp_path: Path, hsm_command: Path, whole: Undisturbed, number: int
) -> None:
    """The manager starts another. Only what it ran, or had seen end and not recorded yet, is run again.

    Of either there is one for each slot at most, and nothing is ever counted twice.
    """
    for at, side in points(whole.acts["agent"], number):
        death = Death(who="agent", at=(at,), side=side)
        project = project_in(tmp_path / f"{at}-{side}", hsm_command, death)
        answer = begin(project)
        assert deaths(project.root / "dead") == 1, death
        FAULTS["agents killed at an act"] += 1
        if answer.code != 0:
            assert answer.code == 3, answer.err
            finish(project)
        check_results(project, whole.outputs, [])
        assert ran(project).total() <= TASKS + 2 * SLOTS, f"{death}: {ran(project)}"


def deep_points(acts: Sequence[str], number: int) -> list[tuple[int, int, int]]:
    """Return points of a run, of the recovery after it, and of the recovery after that."""
    last = int(len(acts) * LAST_SHARE)
    spread = range(number, DEEP * 8, DEEP) if IS_NIGHT else [number]
    return [(1 + 37 * step % last, 1 + 5 * step % 31, 1 + 11 * step % 29) for step in spread]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(DEEP))
def test_recovery_may_be_killed_as_often_as_anything_else(
    tmp_path: Path, hsm_command: Path, whole: Undisturbed, number: int
) -> None:
    """Killed in the run, in its recovery and in the recovery of that: in the end all is there, once."""
    for at in deep_points(whole.acts["manager"], number):
        death = Death(who="manager", at=at, side=SIDES[number % 3])
        project = project_in(tmp_path / "-".join(map(str, at)), hsm_command, death)
        begin(project)
        known = records(project)
        for _ in at[1:]:
            answer = project.run("sweep", "complete", "last", "-q", code=None)
            assert answer.code in (-9, 0, 2, 3), answer.err
            held = records(project)
            assert held[: len(known)] == known
            known = held
        FAULTS["managers killed within recovery"] += deaths(project.root / "dead") - 1
        finish(project)
        check_results(project, whole.outputs, known)
        assert set(ran(project).values()) == {1}, f"{death}: {ran(project)}"


WAITING = """\
name: waiting
program:
  command: [sh, -c, 'echo $HSM_TASK_ID $HSM_ATTEMPT $$ >> "$HSM_PROJECT/begun.txt";
    while [ -e "$HSM_PROJECT/hold" ]; do sleep 0.02; done; echo {k} > results/k']
sweep: {grid: {k: [1, 2, 3, 4, 5, 6]}}
max_failure_rate: 1.0
sources: [local:3]
"""


def waiting_project(folder: Path, hsm: Path, environment: Mapping[str, str]) -> Project:
    """Return a project whose programs run until they may end."""
    folder.mkdir()
    (folder / "hsm.yaml").touch()
    (folder / "waiting.yaml").write_text(WAITING)
    (folder / "hold").touch()
    return Project(root=folder, hsm=hsm, environment=environment)


def agent_of(project: Project) -> int:
    """Return the pid of the agent that works for a sweep."""
    tree = tree_of(project)
    assert tree is not None
    newest = max((tree / ".hsm" / "agents" / "local" / "records").iterdir())
    found = re.search(rb'"pid":(\d+)', newest.read_bytes())
    assert found is not None
    return int(found[1])


@pytest.mark.parametrize("victims", ["program", "program agent", "program manager", "program agent manager"])
def test_killed_programs_are_told_from_those_that_lost_their_agent(
    tmp_path: Path, hsm_command: Path, victims: str
) -> None:
    """A program that is killed alone has failed, with its signal; nothing of it is ever sealed."""
    project = waiting_project(tmp_path / "project", hsm_command, {})
    running = project.start("sweep", "run", "waiting.yaml", "-q")
    until(lambda: len(project.begun()) == 3, "three programs")
    until(lambda: project.status()["counts"]["running"] == 3, "the ledger knows them")
    if "agent" in victims:
        os.kill(agent_of(project), signal.SIGKILL)
    if "manager" in victims:
        running.kill()
    task, attempt, pid = project.begun()[1]
    os.kill(int(pid), signal.SIGKILL)
    FAULTS["programs killed"] += 1
    (project.root / "hold").unlink()
    if running.end().code == -9:
        project.run("sweep", "complete", "last", "-q", code=None)
    if project.status()["counts"]["failed"]:
        project.run("sweep", "complete", "last", "-q", "--retry-failed")
    assert project.status()["counts"]["sealed"] == 6
    sealed = [record for record in records(project) if record["t"] == "attempt_sealed"]
    assert sorted(record["task"] for record in sealed) == [1, 2, 3, 4, 5, 6]
    number = int(task.removeprefix("task_"))
    assert next(record["attempt"] for record in sealed if record["task"] == number) > int(attempt)


CANCELS = range(1, 61) if IS_NIGHT else range(1, 61, 15)


@pytest.mark.parametrize("at", CANCELS)
def test_a_cancel_that_is_killed_leaves_nothing_half_ended(
    tmp_path: Path, hsm_command: Path, at: int
) -> None:
    """Asked once more, everything is gone; whatever the first one recorded is still there."""
    death = Death(who="manager", at=(at,), side=SIDES[at % 3])
    environment = death.environment(tmp_path / "dead", "/sweeps/outputs")
    project = waiting_project(tmp_path / "project", hsm_command, {**environment, "KILL_WHO": "nobody"})
    running = project.start("sweep", "run", "waiting.yaml", "-q")
    until(lambda: len(project.begun()) == 3, "three programs")
    running.kill()
    first = project.run("sweep", "cancel", "last", code=None, KILL_WHO="manager")
    FAULTS["cancels killed"] += deaths(tmp_path / "dead")
    known = records(project)
    if first.code != 0:
        assert first.code == -9, first.err
        project.run("sweep", "cancel", "last")
    assert records(project)[: len(known)] == known
    assert project.status()["status"] == "cancelled"
    for _, _, pid in project.begun():
        assert not Path(f"/proc/{pid}").exists()
    assert len(project.begun()) == 3, "nothing began"


def test_results_that_a_dead_engine_did_not_place_are_placed(
    tmp_path: Path, hsm_command: Path, whole: Undisturbed
) -> None:
    """All tasks are sealed, so nothing is left to run; `complete` still brings the tree to that."""
    project = project_in(tmp_path / "dead", hsm_command, Death(who="nobody", at=(0,), side="before"))
    assert begin(project).code == 0
    tree = tree_of(project)
    assert tree is not None
    (segment,) = (tree / ".hsm" / "ledger").iterdir()
    data = segment.read_bytes()
    segment.write_bytes(data[: data.rindex(b"L1 ", 0, data.index(b"engine_stopped"))])
    place = tree / "tasks" / "task_0003"
    token = json.loads((place / "provenance.json").read_text())["token"]
    (place / "status.yaml").unlink()
    place.rename(tree / ".hsm" / "work" / f"task_0003.1-{token[:8]}")
    (tree / "tasks" / "task_0005" / "status.yaml").unlink()
    project.run("sweep", "complete", "last", "-q")
    check_results(project, whole.outputs, [])
    assert set(ran(project).values()) == {1}
