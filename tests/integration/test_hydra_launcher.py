"""`hydra/launcher=hsm`: real Hydra applications, started as a user starts them, on the real local source."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.integration.cli_project import until
from tests.integration.hydra_project import LIMIT_S, HydraProject

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

ODD = "note='a b=[c], {d} ü'"


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> HydraProject:
    """A project in which a sweeper has launched seven jobs and then one more, with one retry allowed."""
    project = HydraProject.make(tmp_path_factory.mktemp("hydra") / "farm")
    jobs = ["none"], ["never"], ["flood"], ["object"]
    project.jobs(
        ["water=1", ODD],
        *([f"water={word}"] for (word,) in jobs),
        ["water=2", "soil=garden", "soil.depth=1.5"],
        ["water=1", ODD],
    )
    project.run("hydra/sweeper=probe", "hydra.launcher.name=farm")
    return project


@pytest.fixture
def project(tmp_path: Path) -> HydraProject:
    """A project of its own."""
    return HydraProject.make(tmp_path / "farm")


def _hsm(project: HydraProject, command: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(command), *arguments],
        cwd=project.root,
        env=project.environment(PYTHONPATH=""),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sweeper_gets_what_each_job_returned(batches: HydraProject) -> None:
    """Status, value, overrides, configuration, number, folders and name of every job, in order."""
    returns = batches.returns
    first = returns[0]
    assert [job["status"] for job in returns] == ["COMPLETED", *["FAILED"] * 3, *["COMPLETED"] * 4]
    assert [job["number"] for job in returns] == list(range(8))
    assert first["value"] == {"yield": 6.0, "place": str(batches.root)}
    assert first["overrides"] == ["water=1", ODD]
    assert first["note"] == "a b=[c], {d} ü"
    assert first["working"] == str(batches.root)
    assert first["name"] == "crop"
    assert Path(first["output"], ".hydra", "config.yaml").is_file()


def test_a_batch_can_depend_on_the_one_before(batches: HydraProject) -> None:
    """An optimiser launches its next jobs with what the earlier ones returned."""
    assert batches.returns[7]["overrides"] == ["water=18.0"]
    assert batches.returns[7]["value"]["yield"] == 108.0


def test_equal_jobs_are_both_run(batches: HydraProject) -> None:
    """Two jobs with the same overrides are two jobs, as an optimiser expects that measures noise."""
    assert batches.returns[0]["value"] == batches.returns[6]["value"]
    assert sorted(batches.begun()) == [str(number) for number in range(8)]


def test_a_failed_job_raises_what_it_raised(batches: HydraProject) -> None:
    """Python's own exceptions come back as they were, others by name, all with the traceback of the job."""
    dry, drought, flood = (job["error"] for job in batches.returns[1:4])
    assert dry[:2] == ["ValueError", "('dry', 7)"]
    assert 'raise ValueError("dry", 7)' in dry[2]
    assert drought[0] == "TaskFailed"
    assert "Drought: worse than dry" in drought[1]
    assert flood[0] == "TaskFailed"
    assert "failed: exit code 9" in flood[1]


def test_a_value_that_json_cannot_say_is_none(batches: HydraProject) -> None:
    """The job has been done all the same."""
    assert batches.returns[4]["status"] == "COMPLETED"
    assert batches.returns[4]["value"] is None


def test_each_batch_is_a_sweep_named_after_its_multirun(batches: HydraProject) -> None:
    """Name, a tag that the batches of a multirun share, and the number of the first job."""
    one, two = (path.name for path in batches.sweeps)
    found = re.fullmatch(r"farm-([a-z0-9]{4})-0-\d{8}-\d{6}-[a-z0-9]{4}", one)
    assert found, one
    assert two.startswith(f"farm-{found[1]}-7-")


def test_overrides_become_parameters_and_returned_numbers_metrics(batches: HydraProject) -> None:
    """So tables and reports show them; a config group stands beside a key that lies within it."""
    mapping = yaml.safe_load((batches.sweeps[0] / "task_mapping.yaml").read_text())
    params = mapping["task_0006"]["params"]
    assert params["soil_value"] == "garden"
    assert params["soil.depth"] == 1.5
    assert params["hydra.job.num"] == "5"
    metrics = json.loads((batches.sweeps[0] / "tasks" / "task_0006" / "metrics.json").read_text())
    assert metrics == {"yield": 18.0}
    assert (batches.sweeps[0] / "reports" / "completion_report.html").is_file()


def test_hydras_directories_lead_to_the_sealed_results(batches: HydraProject) -> None:
    """`.hydra/` and the log are where users look, are part of the manifest, and name a path that stays."""
    (multirun,) = (batches.root / "multirun").glob("*/*")
    sealed = batches.sweeps[0] / "tasks" / "task_0001"
    assert (multirun / "0").resolve() == (sealed / "results").resolve()
    assert "growing 1 in Soil" in (multirun / "0" / "crop.log").read_text()
    settings = yaml.safe_load((multirun / "0" / ".hydra" / "hydra.yaml").read_text())["hydra"]
    assert settings["runtime"]["output_dir"] == str(multirun / "0")
    assert settings["job"]["num"] == 0
    report = json.loads((sealed / "provenance.json").read_text())
    assert {"results/.hydra/overrides.yaml", "results/crop.log", "outcome.json"} <= {
        item["path"] for item in report["artifacts"]
    }


def test_a_job_ends_where_the_multirun_would(batches: HydraProject) -> None:
    """What an application does after its multirun is done once, and not by every job."""
    logs = list(batches.sweeps[0].glob("tasks/task_*/stdout.log"))
    assert len(logs) == 7
    assert not any("after the multirun" in log.read_text() for log in logs)


def _without(text: str, *keys: str) -> dict[str, object]:
    settings = yaml.safe_load(text)["hydra"]
    for key in keys:
        settings.pop(key)
    return {**settings, "overrides": None, "runtime": {**settings["runtime"], "output_dir": None}}


def test_jobs_are_configured_as_by_hydras_own_launcher(project: HydraProject) -> None:
    """Another configuration, a module, the job's own folder: both launchers write and call back the same."""
    arguments = [
        "-cn",
        "called",
        "called=${hydra.sweep.dir}.txt",
        "water=3,4",
        "hydra.job.chdir=true",
        "hydra.verbose=true",
        "+extra={a: [1]}",
    ]
    program = ("-m", "crop")
    project.run(*arguments, "hydra.sweep.dir=ours", program=program, FIELD="north")
    project.run(*arguments, "hydra.sweep.dir=theirs", "hydra/launcher=basic", program=program, FIELD="north")
    assert (project.root / "ours.txt").read_text() == "begin\nend\n"
    for number in ("0", "1"):
        ours, theirs = (project.root / name / number for name in ("ours", "theirs"))
        assert (ours / "ours.txt").read_text() == (theirs / "theirs.txt").read_text()
        assert (ours / "ours.txt").read_text().startswith("job\njob COMPLETED")
        assert (ours / "harvest.txt").read_text() == (theirs / "harvest.txt").read_text()
        for name in ("config.yaml", "overrides.yaml"):
            assert (ours / ".hydra" / name).read_text() == (theirs / ".hydra" / name).read_text()
        told = [(place / ".hydra" / "hydra.yaml").read_text() for place in (ours, theirs)]
        mine, others = (_without(text, "launcher", "sweep") for text in told)
        assert _unlike(mine, others) == {"runtime"}  # hydra/launcher is among its choices
        assert mine["mode"] == "MULTIRUN"
        assert "FIELD: north" in told[0]


def _unlike(one: dict[str, object], two: dict[str, object]) -> set[str]:
    return {key for key in one.keys() | two.keys() if one.get(key) != two.get(key)}


def _start(project: HydraProject, *arguments: str, slots: int) -> "subprocess.Popen[bytes]":
    with (project.root / "said.txt").open("wb") as said:
        return subprocess.Popen(
            project.argv(*arguments, slots=slots),
            cwd=project.root,
            env=project.environment(),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_sweep_is_completed_without_hydras_process(
    project: HydraProject, hsm_command: Path, end: signal.Signals
) -> None:
    """After a kill or Ctrl-C, `hsm sweep complete` adopts what runs and does what is missing."""
    (project.root / "hold").touch()
    process = _start(project, "water=1,2", slots=1)
    until(lambda: len(project.begun()) == 1, "the first job")
    os.killpg(process.pid, end)
    code = process.wait(LIMIT_S)
    assert code == (-signal.SIGKILL if end is signal.SIGKILL else -signal.SIGINT), (
        project.root / "said.txt"
    ).read_text()
    if end is signal.SIGINT:
        (sweep,) = project.sweeps
        assert (
            f"`hsm sweep complete {sweep.name}` finishes the sweep" in (project.root / "said.txt").read_text()
        )
    (project.root / "hold").unlink()
    _hsm(project, hsm_command, "sweep", "complete", "last")
    assert project.begun() == ["0", "1"]
    (multirun,) = (project.root / "multirun").glob("*/*")
    values = [json.loads((multirun / name / "../metrics.json").read_text()) for name in "01"]
    assert values == [{"yield": 6.0}, {"yield": 12.0}]


@pytest.mark.parametrize(
    ("arguments", "variables", "said"),
    [
        (["hydra.launcher.timeout_s=-1", "hydra.launcher.resources.memory=4G"], {}, "2 problems"),
        ([], {"HSM_TOKEN": "0" * 32}, "use another launcher there"),
    ],
)
def test_a_mistake_is_told_before_anything_is_made(
    project: HydraProject, arguments: list[str], variables: dict[str, str], said: str
) -> None:
    """Wrong settings, and a multirun within an attempt, are one message with the fix and no traceback."""
    text = project.run("water=1,2", *arguments, code=1, **variables).text
    assert said in text
    assert "Traceback" not in text
    assert not (project.root / "sweeps").exists()


def test_other_applications_of_the_environment_load_nothing_of_hsm(tmp_path: Path) -> None:
    """Hydra finds the plug-in in every application; it costs them nothing and never fails."""
    probe = (
        "import sys; from hydra.core.plugins import Plugins; from hydra.plugins.launcher import Launcher;"
        "names = {kind.__name__ for kind in Plugins.instance().discover(Launcher)};"
        "print(sorted(names), [name for name in sys.modules if name.partition('.')[0] == 'hsm'])"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", probe],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert done.stdout.strip() == "['BasicLauncher', 'HsmLauncher'] []", done.stderr
