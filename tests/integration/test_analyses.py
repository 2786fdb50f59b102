"""Analyses beside a sweep, with real processes: once for each result, harmless, durable, never in the way."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.config import load_frozen
from hsm.core import events as ev
from hsm.core.control import ask_to_cancel
from hsm.core.epochs import last_claim
from hsm.core.ledger_reader import LedgerReader
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.wire.files import Files
from tests.integration.cli_project import Project, Running, until
from tests.integration.laboratory import is_alive

pytestmark = pytest.mark.integration

SIMULATE = """
import os, sys, time
from pathlib import Path

k = sys.argv[1]
project = Path(os.environ["HSM_PROJECT"])
while k == "slow" and (project / "hold").exists():
    time.sleep(0.02)
if k != "bare":
    Path("results/field.txt").write_text(k)
Path("metrics.json").write_text('{"length": %d}' % len(k))
"""
LOOK = """
import json, os, sys, time
from pathlib import Path

artifact, task = sys.argv[1:]
project = Path(os.environ["HSM_PROJECT"])
text = Path(artifact).read_text()
with (project / "looked.txt").open("a") as file:
    file.write(f"{task} {text} {os.getpid()}\\n")
print(f"looking at {text}", flush=True)
deadline = time.monotonic() + 30
while (project / "hold").exists() and time.monotonic() < deadline:
    time.sleep(0.02)
if text == "bad" and not (project / "mended").exists():
    sys.exit("cannot look at this")
Path("results/seen.txt").write_text(text * 2)
Path("metrics.json").write_text(json.dumps({"size": len(text)}))
"""
ANALYSES = """
analyses:
  look:
    command: [python, "{project}/look.py", "{artifact}", "{task_id}"]
    artifact: results/*.txt
    slots: 2
"""


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with programs that write a field and look at it."""
    (tmp_path / "simulate.py").write_text(SIMULATE)
    (tmp_path / "look.py").write_text(LOOK)
    return Project(root=tmp_path, hsm=hsm_command)


def _sweep(project: Project, values: list[str], extra: str = ANALYSES) -> None:
    text = 'name: fields\nprogram: {command: [python, "{project}/simulate.py", "{k}"]}\n'
    text += f"sweep: {{grid: {{k: {json.dumps(values)}}}}}\n{extra}"
    (project.root / "fields.yaml").write_text(text)


def _looked(project: Project) -> list[tuple[str, str, int]]:
    """Return task, text and pid of every run of the analysis."""
    path = project.root / "looked.txt"
    rows = [row.split() for row in path.read_text().splitlines()] if path.exists() else []
    return [(task, text, int(pid)) for task, text, pid in rows]


def _events(tree: SweepTree) -> Iterator[ev.Event]:
    return LedgerReader(Files(), tree).events()


def _inner(project: Project) -> SweepTree:
    return SweepTree(project.tree()).analysis("look")


def _begin(project: Project) -> Running:
    """Start a sweep whose analyses do not end; wait until the sweep itself is over and two of them run."""
    (project.root / "hold").touch()
    running = project.start("sweep", "run", "fields.yaml", "--source", "local:2")
    until(lambda: len(_looked(project)) == 2, "two analyses run")
    until(lambda: project.status()["status"] == "complete", "the sweep is over")
    return running


def test_every_result_is_analysed_once_beside_it(project: Project) -> None:
    """What was made of a result is in its directory; one without a fitting file is left alone."""
    _sweep(project, ["a", "bb", "bare"])
    answer = project.run("sweep", "run", "fields.yaml", "--source", "local:2")
    assert "analyses  look  2 done" in answer.err
    assert sorted((task, text) for task, text, _ in _looked(project)) == [
        ("task_0001", "a"),
        ("task_0002", "bb"),
    ]
    tasks = project.tree() / "tasks"
    assert (tasks / "task_0002" / "analyses" / "look" / "results" / "seen.txt").read_text() == "bbbb"
    assert not (tasks / "task_0003" / "analyses").exists()
    assert "sound" in project.run("sweep", "verify", "last").out
    (tasks / "task_0001" / "analyses" / "look").unlink()
    project.run("sweep", "rebuild", "last")
    assert (tasks / "task_0001" / "analyses" / "look" / "results" / "seen.txt").read_text() == "aa"
    rows = project.run("results", "last", "--format", "csv", "--fields", "task,length,look.size").out
    assert rows.splitlines()[1:] == ["task_0001,1,1", "task_0002,2,2", "task_0003,4,"]


def test_a_failed_analysis_harms_no_result_and_can_be_tried_again(project: Project) -> None:
    """The sweep is complete, its exit code 0; logs and explain tell of the analysis by the task's name."""
    _sweep(project, ["a", "bad"])
    answer = project.run("sweep", "run", "fields.yaml", "--source", "local:2", "--json")
    assert answer.data["status"] == "complete"
    assert answer.data["analyses"]["look"]["done"] == 1
    assert answer.data["analyses"]["look"]["failed"] == 1
    for told in (answer.err, project.run("sweep", "status", "last").out):
        assert "application  exit code 1: cannot look at this  task_0002" in told
    assert f"retry     hsm analyze {project.tree().name} --with look --retry-failed" in answer.err
    assert "cannot look at this" in project.run("logs", "2", "--analysis", "look").out
    assert "look failed: exit code 1: cannot look at this" in project.run("explain", "2").out
    told = project.run("explain", "2", "--analysis", "look").out
    assert "--with look --retry-failed" in told
    project.run("analyze", "last", "--with", "look", code=1)
    assert len(_looked(project)) == 2
    (project.root / "mended").touch()
    project.run("analyze", "last", "--with", "look", "--retry-failed")
    assert len(_looked(project)) == 3
    assert project.status()["analyses"]["look"] == {
        "done": 2,
        "failed": 0,
        "cancelled": 0,
        "open": 0,
        "path": str(_inner(project).root),
    }


def test_no_simulation_waits_for_an_analysis(project: Project) -> None:
    """With every slot of the analysis taken, all simulations are sealed before any analysis has ended."""
    _sweep(project, ["a", "bb", "ccc", "dddd", "eeeee", "ffffff"])
    running = _begin(project)
    assert not any(isinstance(event, ev.AttemptExited) for event in _events(_inner(project)))
    sealed = [event for event in _events(SweepTree(project.tree())) if isinstance(event, ev.AttemptSealed)]
    assert len(sealed) == 6
    until(lambda: "its analyses go on: look" in running.said(), "it says what it waits for")
    refused = project.run("analyze", "last", "--with", "look", code=None).err
    assert refused.count("drives this sweep") == 1, "why it is not analysed twice is told once"
    (project.root / "hold").unlink()
    assert running.end().code == 0
    assert len(_looked(project)) == 6
    assert len({task for task, _, _ in _looked(project)}) == 6


def test_a_killed_manager_costs_no_analysis_and_repeats_none(project: Project) -> None:
    """What ran goes on and is adopted; what waited is run; nothing is run twice."""
    _sweep(project, ["a", "bb", "ccc", "dddd"])
    running = _begin(project)
    running.kill()
    assert len(_looked(project)) == 2
    (project.root / "hold").unlink()
    answer = project.run("sweep", "complete", "last")
    assert "analyses  look  4 done" in answer.err
    assert sorted(task for task, _, _ in _looked(project)) == [f"task_000{n}" for n in (1, 2, 3, 4)]
    for number in (1, 2, 3, 4):
        assert (project.tree() / "tasks" / f"task_000{number}" / "analyses" / "look" / "status.yaml").exists()
    project.run("sweep", "complete", "last")
    assert len(_looked(project)) == 4


def test_leaving_lets_go_of_analyses_too(project: Project) -> None:
    """Ctrl-C leaves at once; what runs is finished by its agent, and completing goes on."""
    _sweep(project, ["a", "bb", "ccc"])
    running = _begin(project)
    running.interrupt()
    running.end()
    (project.root / "hold").unlink()
    assert "look  3 done" in project.run("sweep", "complete", "last").err
    assert len(_looked(project)) == 3


def test_what_analyses_made_is_verified_with_the_sweep(project: Project) -> None:
    """Damage is told by analysis, task and file, with exit code 1; on request it is made anew."""
    _sweep(project, ["a", "bb", "bad"])
    project.run("sweep", "run", "fields.yaml", "--source", "local:2")
    whole = project.run("sweep", "verify", "last", "--all").out
    assert "analysis  look\nsound: 3 of 3 sealed attempts read" in whole
    seen = project.tree() / "tasks" / "task_0002" / "analyses" / "look" / "results" / "seen.txt"
    seen.chmod(0o644)
    seen.write_text("else")
    answer = project.run("sweep", "verify", "last", "--json", code=1)
    assert not answer.data["is_sound"]
    assert answer.data["findings"] == []
    (finding,) = answer.data["analyses"]["look"]["findings"]
    assert (finding["analysed"], finding["path"], finding["kind"]) == (
        "task_0002",
        "results/seen.txt",
        "damaged",
    )
    answer = project.run("sweep", "verify", "last", code=1)
    assert "task_0002        1  damaged  results/seen.txt" in answer.out
    assert "--with look --retry-failed" in answer.err
    (project.root / "mended").touch()
    project.run("analyze", "last", "--with", "look", "--retry-failed")
    assert len(_looked(project)) == 5
    assert seen.read_text() == "bbbb"
    project.run("sweep", "verify", "last")


def _stands(project: Project) -> tuple[int, int, int]:
    """Return for how many results the analysis is done, was cancelled and is open."""
    look = project.status()["analyses"]["look"]
    return look["done"], look["cancelled"], look["open"]


def test_a_cancelled_sweep_cancels_its_analyses(project: Project) -> None:
    """What runs of them is ended, what waits never begins, and nobody goes on with it unasked."""
    _sweep(project, ["a", "bb", "slow", "ccc"])
    (project.root / "hold").touch()
    running = project.start("sweep", "run", "fields.yaml", "--source", "local:2")
    until(lambda: len(_looked(project)) == 2 and _stands(project) == (0, 0, 3), "two analyses run, one waits")
    said = project.run("sweep", "cancel", "last")
    assert "1 task and 3 of the analysis look" in said.err
    assert any(isinstance(event, ev.CancelRequested) for event in _events(_inner(project)))
    assert running.end().code == 1
    assert not any(is_alive(pid) for _, _, pid in _looked(project))
    assert project.status()["status"] == "cancelled"
    assert _stands(project) == (0, 3, 0)
    (project.root / "hold").unlink()
    project.run("sweep", "complete", "last", code=1)
    assert len(_looked(project)) == 2
    project.run("analyze", "last", "--with", "look", "--retry-failed")
    assert _stands(project) == (3, 0, 0)


def test_who_drives_a_cancelled_sweep_ends_its_analyses(project: Project) -> None:
    """A cancel that only the sweep's engine heard of, as one from the watch, ends analyses that run, too."""
    _sweep(project, ["a", "bb", "slow"])
    (project.root / "hold").touch()
    running = project.start("sweep", "run", "fields.yaml", "--source", "local:2")
    until(lambda: len(_looked(project)) == 2, "two analyses run")
    world = World()
    claim = last_claim(world.files, SweepTree(project.tree()))
    assert claim is not None
    assert asyncio.run(ask_to_cancel(world, claim.socket, ()))
    world.close()
    assert running.end().code == 1
    assert not any(is_alive(pid) for _, _, pid in _looked(project))
    assert _stands(project) == (0, 2, 0)


def test_analyses_of_a_sweep_that_is_over_can_be_cancelled(project: Project) -> None:
    """Whether its engine is there or was killed: what runs is ended, and there is no second cancel."""
    _sweep(project, ["a", "bb", "ccc"])
    running = _begin(project)
    running.kill()
    answer = project.run("sweep", "cancel", "last", "--json")
    assert (answer.data["tasks"], answer.data["analyses"]) == (0, {"look": 3})
    assert not any(is_alive(pid) for _, _, pid in _looked(project))
    assert _stands(project) == (0, 3, 0)
    assert "nothing is left to end" in project.run("sweep", "cancel", "last").err
    (project.root / "hold").unlink()
    project.run("sweep", "complete", "last")
    assert len(_looked(project)) == 2


def test_an_analysis_is_cancelled_by_name(project: Project) -> None:
    """Of one result, then as a whole, by its name or its path; the sweep itself goes on."""
    _sweep(project, ["a", "bb", "slow", "ccc", "dddd"])
    (project.root / "hold").touch()
    running = project.start("sweep", "run", "fields.yaml", "--source", "local:2")
    until(lambda: len(_looked(project)) == 2 and _stands(project) == (0, 0, 4), "two analyses run, two wait")
    first = _looked(project)[0][0]
    project.run("sweep", "cancel", "last", first, "--analysis", "look")
    until(lambda: _stands(project)[1] == 1, "one analysis is cancelled")
    project.run("sweep", "cancel", str(_inner(project).root))
    until(lambda: _stands(project) == (0, 4, 0), "all are cancelled")
    assert project.status()["status"] == "running"
    assert "no analysis 'lok'" in project.run("sweep", "cancel", "last", "--analysis", "lok", code=2).err
    (project.root / "hold").unlink()
    answer = running.end()
    assert answer.code == 0
    assert "look  0 done, 4 cancelled" in answer.err


@pytest.mark.timeout(180)  # three starts of JAX and GUDHI on a busy machine
def test_a_finished_sweep_can_be_analysed_later(project: Project) -> None:
    """An installed analysis looks at each result once; its numbers and its section are in the report."""
    text = "name: tiny\nprogram: {command: [python, -m, hsm.physics]}\n"
    text += "parameters: {N: 32, L: 16, T: 1, save_every: 0.5}\nsweep: {grid: {c: [-1.0]}}\n"
    (project.root / "tiny.yaml").write_text(text)
    project.run("sweep", "run", "tiny.yaml", "--source", "local:1")
    assert project.status()["analyses"] == {}
    for _ in range(2):
        found = project.run("analyze", "last", "--with", "homology", "--json").data["finding"]
        assert (found["done"], found["failed"], found["open"]) == (1, 0, 0)
    place = project.tree() / "tasks" / "task_0001" / "analyses" / "homology"
    assert (place / "results" / "persistence.png").is_file()
    events = _events(SweepTree(project.tree()).analysis("homology"))
    assert sum(isinstance(event, ev.AttemptSealed) for event in events) == 1
    project.run("report", "last")
    page = (project.tree() / "reports" / "completion_report.html").read_text()
    assert "homology.persistence_entropy" in page
    assert '<section id="analyses">' in page
    refused = project.run("analyze", "last", "--with", "homologie", code=2)
    assert "did you mean `homology`?" in refused.err


def test_a_pattern_that_fits_nothing_is_said(project: Project) -> None:
    """By the run and by whoever asks later, with the files that there are; nothing has failed."""
    _sweep(project, ["bare"])
    said = "look has nothing to look at: no result has a file like results/*.txt; one has metrics.json"
    assert said in project.run("sweep", "run", "fields.yaml", "--source", "local:1").err
    assert said in project.run("analyze", "last", "--with", "look").err
    assert not _inner(project).config.exists()
    found = project.run("analyze", "last", "--with", "fingerprint", "--json")  # not of the sweep file
    assert found.data["finding"] == {"done": 0, "failed": 0, "cancelled": 0, "open": 0} | {
        "path": found.data["finding"]["path"]
    }
    assert "NAME_p_value" in project.run("analyze", "last").err


def test_a_sweep_without_a_result_has_nothing_to_analyse(project: Project) -> None:
    """Every task failed: an analysis says so, and is no error."""
    (project.root / "simulate.py").write_text("import sys; sys.exit(3)")
    _sweep(project, ["a"])
    said = "look has nothing to look at: there is no result with files"
    assert said in project.run("sweep", "run", "fields.yaml", "--source", "local:1", code=1).err
    assert said in project.run("analyze", "last", "--with", "look").err


def test_a_missing_script_of_an_analysis_stops_the_sweep_before_it_begins(project: Project) -> None:
    """Not the first result of a long run tells it."""
    _sweep(project, ["a"], ANALYSES.replace("look.py", "lock.py"))
    for words in (
        ("config", "validate", "fields.yaml"),
        ("sweep", "run", "fields.yaml", "--source", "local"),
    ):
        refused = project.run(*words, code=2)
        assert "analyses.look.command: lock.py is not in the project" in refused.err
        assert "did you mean look.py?" in refused.err
    assert not (project.root / "sweeps" / "outputs").exists()


def test_the_frozen_sweep_holds_each_analysis_in_full(project: Project) -> None:
    """What is frozen reads as an equal spec, and the analysis as the sweep that it is."""
    _sweep(project, ["a"])
    project.run("sweep", "run", "fields.yaml", "--source", "local:2")
    outer, inner = load_frozen(project.tree() / "sweep_config.yaml"), load_frozen(_inner(project).config)
    assert inner.follows
    assert inner.analyses == outer.analyses
    assert outer.analyses[0].slots == 2
