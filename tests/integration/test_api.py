"""Sweeps from Python: run, open, wait, events, complete, cancel; inside a loop and out of it; interrupted."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import hsm
from hsm.api.plots import PLOTS
from hsm.core.errors import ConfigError, EngineRunning, SweepError
from hsm.core.events import AttemptSealed, EngineStopped, SweepCreated
from hsm.core.states import SweepStatus
from hsm.results import frames
from hsm.results.errors import MissingPackage
from tests.integration.cli_project import Project, until

pytestmark = pytest.mark.integration

HEAVY = {
    "asyncssh",
    "h5py",
    "hydra",
    "jax",
    "numpy",
    "pandas",
    "polars",
    "pyarrow",
    "yaml",
    "asyncio",
    "click",
}


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Return a project that is the current folder, with a sweep of which one task fails."""
    found = Project(root=tmp_path, hsm=hsm_command)
    found.sweep("heat", ["a", "bad", "ccc"], extra="sources: [local:2]\n")
    monkeypatch.chdir(tmp_path)
    yield found
    found.hold.unlink(missing_ok=True)


def test_importing_hsm_loads_nothing_heavy() -> None:
    """`import hsm` and a look at what it offers cost the standard library, and little of that."""
    code = "import hsm, sys, json; dir(hsm); print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=50
    )
    loaded = {name.strip(' "[]\n').partition(".")[0] for name in done.stdout.split(",")}
    assert "hsm" in loaded
    assert not loaded & HEAVY


def test_a_sweep_is_run_and_its_results_are_columns(
    project: Project, capfd: pytest.CaptureFixture[str]
) -> None:
    """`hsm.run` returns the sweep when it is over, prints nothing, and failed tasks stay in the results."""
    sweep = hsm.run("heat.yaml")
    assert (sweep.status(), sweep.wait()) == (SweepStatus.FAILED, SweepStatus.FAILED)
    results = sweep.results()
    assert results["k"] == ["a", "bad", "ccc"]
    assert results["status"] == ["sealed", "failed", "sealed"]
    assert results["score"] == [1.0, None, 3.0]
    assert "ValueError: bad" in str(results["reason"][1])
    assert results.best(by="score")[0]["param.k"] == "ccc"
    assert Path(str(results[0]["meta.path"]), "stdout.log").read_text() == "working on a\n"
    assert sweep.path == project.tree()
    assert capfd.readouterr() == ("", "")


def test_a_mapping_is_run_as_a_file_is(project: Project) -> None:
    """The same keys; all that is wrong with it is told at once."""
    described: dict[str, Any] = {
        "name": "inline",
        "program": {"command": ["python", "{project}/work.py", "{k}"]},
        "sweep": {"grid": {"k": ["x", "yy"]}},
    }
    with hsm.run(described, sources="local:2", outputs=project.root / "elsewhere") as sweep:
        assert sweep.results()["score"] == [1.0, 2.0]
    assert sweep.path.parent == project.root / "elsewhere"
    with pytest.raises(ConfigError) as caught:
        hsm.run({**described, "name": "Not A Name", "programme": 1}, sources="local")
    assert {problem.where for problem in caught.value.problems} == {"the mapping"}
    assert [note for note in caught.value.__notes__ if "programme" in note and "program" in note]
    with pytest.raises(ConfigError, match="no compute source") as caught:
        hsm.run(described)
    assert 'sources=["local"]' in caught.value.hint
    with pytest.raises(ConfigError, match="takes no overrides"):
        hsm.run(described, overrides="seeds=2", sources="local")


def test_a_file_takes_overrides(project: Project) -> None:
    """Overrides are those of the command line."""
    sweep = hsm.run("heat.yaml", overrides=["sweep.grid.k=[q]"])
    assert sweep.results()["k"] == ["q"]


async def test_both_faces_work_inside_a_running_loop(project: Project) -> None:
    """In a notebook's loop `hsm.run` blocks the cell and works, and `async with` does not even block."""
    sweep = hsm.run("heat.yaml")
    assert isinstance(next(sweep.events()), SweepCreated)
    async with hsm.open("last") as same:
        assert await same.wait() is SweepStatus.FAILED
        assert len(await same.results()) == 3
        events = [event async for event in same.events()]
    assert isinstance(events[-1], EngineStopped)
    assert sum(isinstance(event, AttemptSealed) for event in events) == 2
    assert len(events) == len(list(sweep.events()))


async def test_a_sweep_of_another_process_is_awaited(project: Project) -> None:
    """Events come while the engine of another process is at it; `wait` returns when it has let go."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: bool(project.begun()), "a task that runs")
    async with hsm.open("last") as sweep:
        assert await sweep.status() is SweepStatus.RUNNING
        with pytest.raises(EngineRunning):
            await sweep.complete()
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(sweep.wait())
            async for event in sweep.events():
                if isinstance(event, AttemptSealed):
                    break
                project.hold.unlink(missing_ok=True)
        assert waiting.result() is SweepStatus.FAILED
    assert running.end().code == 1


async def test_a_sweep_is_cancelled_and_completed(project: Project) -> None:
    """The engine of another process is asked to end it; what was cancelled can be taken up again here."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two tasks that run")
    async with hsm.open("last") as sweep:
        with pytest.raises(SweepError, match="no task 9"):
            await sweep.cancel([9])
        await sweep.cancel()
        assert await sweep.wait() is SweepStatus.CANCELLED
        running.end()
        project.hold.unlink()
        (project.root / "mended").touch()
        assert await sweep.complete(retry_failed=True) is SweepStatus.COMPLETE
        assert (await sweep.results())["score"] == [1.0, 3.0, 3.0]


INTERRUPTED = """
import hsm

try:
    hsm.run("heat.yaml")
except KeyboardInterrupt:
    sweep = hsm.open("last")
    print(sweep.status(), type(list(sweep.events())[-1]).__name__, flush=True)
    raise
"""


def test_ctrl_c_leaves_in_good_order(project: Project) -> None:
    """An interrupted `hsm.run` raises at once, its tasks go on, and the sweep can be taken up elsewhere."""
    project.hold.touch()
    script = project.root / "script.py"
    script.write_text(INTERRUPTED)
    with (project.root / "script.err").open("wb") as err, (project.root / "script.out").open("wb") as out:
        process = subprocess.Popen([sys.executable, str(script)], cwd=project.root, stdout=out, stderr=err)
    until(lambda: len(project.begun()) == 2, "two tasks that run")
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(40) == -signal.SIGINT
    said = (project.root / "script.err").read_text()
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "never awaited" not in said
    assert (project.root / "script.out").read_text() == "partial EngineStopped\n"
    sweep = hsm.open("last")
    assert sweep.status() is SweepStatus.PARTIAL
    project.hold.unlink()
    assert sweep.complete() is SweepStatus.FAILED
    assert len(project.begun()) == 3


def test_a_sweep_that_nobody_drives_is_ended_here(project: Project) -> None:
    """`max_tasks` leaves the rest undone; `cancel` ends it, and what was done stays."""
    sweep = hsm.run("heat.yaml", max_tasks=1)
    assert sweep.status() is SweepStatus.PARTIAL
    sweep.cancel()
    sweep.cancel()  # nothing is left to end
    assert sweep.status() is SweepStatus.CANCELLED
    assert sweep.results()["status"] == ["sealed", "cancelled", "cancelled"]


FORKED = """
import multiprocessing, hsm

def look():
    return str(hsm.open("last").status()), len(hsm.open("last").results())

if __name__ == "__main__":
    here = look()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(look) == here == ("failed", 3), here
"""


def test_a_forked_process_can_ask_too(project: Project) -> None:
    """The loop's thread does not come along with a fork; the child gets one of its own and does not hang."""
    hsm.run("heat.yaml")
    (project.root / "forked.py").write_text(FORKED)
    argv = [sys.executable, "forked.py"]
    done = subprocess.run(argv, cwd=project.root, capture_output=True, text=True, timeout=40, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_analysis_of_a_plugin_sees_the_results(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sweep.analyse` calls what an installed distribution offers in `hsm.analyses`."""
    information = tmp_path / "site" / "scaling_pack-1.0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: scaling-pack\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[hsm.analyses]\nscaling = scaling_pack:scaling\n")
    code = "def scaling(results):\n    return {'mean': results.where('score > 0').to_numpy('score').mean()}\n"
    (tmp_path / "site" / "scaling_pack.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert "scaling" in hsm.analyses()
    assert hsm.run("heat.yaml").analyse("scaling") == {"mean": 2.0}


def test_a_notebook_shows_a_card(project: Project) -> None:
    """Name, status, counts and path, with every value escaped."""
    (project.root / "<b>").mkdir()
    sweep = hsm.run("heat.yaml", outputs="<b>")
    card = sweep._repr_html_()
    assert "<b>" not in card
    assert "&lt;b&gt;" in card
    assert "3 of 3 finished" in card
    assert "2 sealed · 1 failed" in card
    assert repr(sweep) == f"<Sweep {sweep.id}>"


def test_a_notebook_shows_the_plots_of_the_report(project: Project) -> None:
    """Each is one figure or one for each parameter; a name that no plot has is answered with the nearest."""
    sweep = hsm.run("heat.yaml")
    shown = {name: sweep.plot(name) for name in PLOTS}
    assert all(len(plot) >= 1 for plot in shown.values())
    timeline = shown["timeline"]._repr_html_()
    assert timeline.startswith("<svg")
    assert repr(shown["timeline"]) == "<Plot timeline: Timeline by compute source>"
    assert "local" in timeline
    with pytest.raises(SweepError, match="no plot 'convergance'") as unknown:
        sweep.plot("convergance")
    assert unknown.value.hint == "did you mean 'convergence'?"


def test_unknown_sweeps_are_refused(project: Project) -> None:
    """The errors are those of the command line."""
    with pytest.raises(SweepError, match="there is no sweep"):
        hsm.open("nothing")


def test_results_become_frames_of_other_libraries() -> None:
    """Numbers stay numbers, missing ones are missing, what is mixed or nested is JSON text."""
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    pytest.importorskip("pyarrow")
    results = hsm.Results(
        {
            "param.n": [1, 2, None],
            "param.x": [1, 2.5, None],
            "param.mixed": [1, "a", [1, 2]],
            "param.big": [2**70, 1, None],
            "param.same": [[1, 2], [3, 4], [5, 6]],
            "metric.none": [None, None, None],
            "metric.whole": [1, 2, None],
            "meta.signal": [None, None, None],
            "meta.label": [None, None, None],
        }
    )
    table = results.to_arrow()
    assert table.to_pydict() == {
        "param.n": [1, 2, None],
        "param.x": [1.0, 2.5, None],
        "param.mixed": ["1", "a", "[1, 2]"],
        "param.big": [str(2**70), "1", None],
        "param.same": ["[1, 2]", "[3, 4]", "[5, 6]"],
        "metric.none": [None, None, None],
        "metric.whole": [1.0, 2.0, None],
        "meta.signal": [None, None, None],
        "meta.label": [None, None, None],
    }
    types = [str(field.type) for field in table.schema if not field.name.startswith("param.")]
    assert types == ["double", "double", "int64", "string"]
    assert results.to_polars().to_dict(as_series=False) == table.to_pydict()
    assert isinstance(results.to_polars(), polars.DataFrame)
    frame = results.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["param.mixed"].tolist() == [1, "a", [1, 2]]
    assert results.to_numpy("n").dtype == float
    assert results.to_numpy("x")[:2].tolist() == [1.0, 2.5]
    assert results.to_numpy("same").tolist() == [[1, 2], [3, 4], [5, 6]]
    assert results[:2].to_numpy("n").dtype == int


def test_a_package_that_lacks_is_named() -> None:
    """The error says what to install."""
    with pytest.raises(MissingPackage, match="no_such_frames is not installed") as caught:
        frames.imported("no_such_frames", "export")
    assert "hsm[export]" in caught.value.hint
