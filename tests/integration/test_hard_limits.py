"""Too few files and processes, a clock that jumps, managers that stand still or are told to go, and rivals.

Each ends in one clear message and loses nothing: `hsm sweep complete` ends the sweep, each task run once.
"""

import os
import resource
import shutil
import signal
from collections import Counter
from pathlib import Path

import pytest

from hsm.wire.files import Files
from hsm.wire.log import LogReader
from tests.integration.cli_project import Answer, Project, Running, until
from tests.integration.point_project import IS_NIGHT
from tests.integration.tally import FAULTS

pytestmark = pytest.mark.integration

TASKS = 6
SWEEP = """\
name: heat
program:
  command: [sh, -c, 'echo "$HSM_TASK_ID $HSM_ATTEMPT $$" >> "$HSM_PROJECT/begun.txt";
    while [ -e "$HSM_PROJECT/hold" ]; do sleep 0.02; done; echo {k} > results/k']
sweep: {grid: {k: [1, 2, 3, 4, 5, 6]}}
sources: [local:3]
"""
CAPABLE = "-all,+dac_override"


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return a project with a sweep of six tasks that do not end while `hold` is there."""
    (tmp_path / "heat.yaml").write_text(SWEEP)
    (tmp_path / "hsm.yaml").touch()
    return Project(root=tmp_path, hsm=hsm_command)


def limited(project: Project, *prefix: str) -> Project:
    """Return the project as somebody sees it who runs every command behind these words."""
    if shutil.which(prefix[0]) is None:
        pytest.skip(f"NO {prefix[0].upper()}: this limit cannot be set here")
    return Project(root=project.root, hsm=project.hsm, prefix=prefix)


def check_word(answer: Answer) -> None:
    """Check that it is one error, with what to do, and no defect."""
    assert answer.code == 3, answer.err
    assert answer.err.count("error: ") == 1, answer.err
    assert "defect" not in answer.err, answer.err
    assert "hint: " in answer.err, answer.err


def finish(project: Project, *, complete: bool) -> None:
    """Complete the sweep, or begin it where it had not come to be, and check that all ran once."""
    if complete and project.run("sweep", "complete", "last", "-q", code=None).code != 0:
        project.run("sweep", "run", "heat.yaml", "-q")
    ran = Counter(task for task, _, _ in project.begun())
    assert ran == Counter(f"task_000{number}" for number in range(1, TASKS + 1))
    assert project.status()["counts"]["sealed"] == TASKS


@pytest.mark.parametrize("files", range(6, 26) if IS_NIGHT else [8, 10, 14])
def test_too_few_open_files_are_one_clear_word(project: Project, files: int) -> None:
    """Wherever the limit is met it is said what to raise; with more of them everything runs, once."""
    answer = limited(project, "prlimit", f"--nofile={files}").run(
        "sweep", "run", "heat.yaml", "-q", code=None
    )
    if answer.code != 0:
        check_word(answer)
        assert "ulimit -n" in answer.err
        FAULTS["runs with too few open files"] += 1
    finish(project, complete=answer.code != 0)


@pytest.mark.parametrize("processes", range(1, 7) if IS_NIGHT else [1, 4])
def test_too_few_processes_are_one_clear_word(project: Project, processes: int) -> None:
    """Threads are counted too, so the manager itself may meet the limit; later everything runs, once.

    Where manager and agent just have enough and no program can be started, that is told and waited for.
    """
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: the limit counts all that this user runs, so it cannot be tried alone")
    caps = [f"--{kind}={CAPABLE}" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    nobody = ["setpriv", "--reuid", "64321", "--clear-groups", *caps, "prlimit", f"--nproc={processes}"]
    running = limited(project, *nobody).start("sweep", "run", "heat.yaml", "-q")
    until(lambda: running.process.poll() is not None or waits(project), "a word, or that it waits")
    if running.process.poll() is None:
        assert "temporarily unavailable" in project.status()["sources"][0]["reason"]
        running.kill()
        os.kill(agent_of(project), signal.SIGKILL)
    else:
        answer = running.end()
        check_word(answer)
        assert "ulimit -u" in answer.err
    FAULTS["runs with too few processes"] += 1
    finish(project, complete=True)


def test_an_agent_that_lacks_descriptors_says_so_and_goes_on_when_it_has_them(project: Project) -> None:
    """Its log has one line, not one a second; status names what is lacking."""
    running = held(project)
    agent = agent_of(project)
    few = len(list(Path(f"/proc/{agent}/fd").iterdir()))
    before = resource.prlimit(agent, resource.RLIMIT_NOFILE)
    resource.prlimit(agent, resource.RLIMIT_NOFILE, (few, before[1]))
    project.hold.unlink()
    reason = lambda: project.status()["sources"][0]["reason"]  # noqa: E731
    until(lambda: "Too many open files" in reason(), "the source says what it lacks", 8.0)
    assert reason().startswith("begins nothing for now: ")
    log = next((project.root / "sweeps" / "outputs").glob("*/logs/sources/local.log"))
    before_it = wakings(agent)
    until(lambda: wakings(agent) >= before_it + 3, "it tries again, once a second")
    assert log.read_text().count("lacks something") == 1, log.read_text()
    resource.prlimit(agent, resource.RLIMIT_NOFILE, before)
    assert running.end().code == 0
    assert reason() == ""
    assert "going on" in log.read_text()
    FAULTS["agents without descriptors"] += 1
    finish(project, complete=False)


def wakings(pid: int) -> int:
    """Return how often a process has gone to sleep by itself."""
    words = Path(f"/proc/{pid}/status").read_text().split()
    return int(words[words.index("voluntary_ctxt_switches:") + 1])


def waits(project: Project) -> bool:
    """Tell whether an agent of the sweep lacks something, and the sweep knows it."""
    logs = (project.root / "sweeps" / "outputs").glob("*/logs/sources/local.log")
    is_told = any("lacks something" in log.read_text() for log in logs)
    return is_told and bool(project.status()["sources"][0]["reason"])


def agent_of(project: Project) -> int:
    """Return the process of the agent."""
    records = next((project.root / "sweeps" / "outputs").glob("*/.hsm/agents/local/records/*.log"))
    opened = next(LogReader(Files(), str(records)).records())
    pid: int = opened["pid"]
    return pid


@pytest.mark.parametrize("every", [1, 7, 40] if IS_NIGHT else [7])
def test_a_clock_that_jumps_decides_nothing(project: Project, every: int) -> None:
    """Back and forth by years, in manager and agent alike: the same tasks, run once, none timed out."""
    place = Path(__file__).parent / "clock_jumps"
    with (project.root / "heat.yaml").open("a") as file:
        file.write("timeout: 20s\n")
    environment = {"PYTHONPATH": str(place), "CLOCK_EVERY": str(every)}
    project.hold.touch()
    jumping = Project(root=project.root, hsm=project.hsm, environment=environment)
    running = jumping.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 3, "three programs")
    running.kill()
    project.hold.unlink()
    answer = jumping.run("sweep", "complete", "last", "-q")
    assert "Traceback" not in answer.err
    assert jumping.run("ledger", "verify", "--json").data["is_sound"] is True
    FAULTS["runs with a wall clock that jumps"] += 1
    finish(project, complete=False)


def held(project: Project) -> Running:
    """Start the sweep and wait until three programs run, and the ledger knows it."""
    project.hold.touch()
    running = project.start("sweep", "run", "heat.yaml")
    until(lambda: len(project.begun()) == 3, "three programs")
    until(lambda: project.status()["counts"]["running"] == 3, "the ledger knows them")
    return running


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_is_answered_and_what_runs_goes_on(project: Project, number: signal.Signals) -> None:
    """Nothing new begins, the two commands that go on are named, and the programs are finished."""
    running = held(project)
    os.kill(running.process.pid, number)
    answer = running.end()
    assert answer.code == 130
    assert "Traceback" not in answer.err
    if number is not signal.SIGHUP:  # of a terminal that is gone there is nobody to read it
        assert (
            answer.err.count("stopping: no new attempts; 3 running attempts are finished by the agent") == 1
        )
        assert "hsm sweep complete" in answer.err
    FAULTS["managers told to go"] += 1
    project.hold.unlink()
    finish(project, complete=True)


def test_signals_in_a_row_lose_nothing(project: Project) -> None:
    """Whoever is impatient is gone at once, and the sweep goes on from there."""
    running = held(project)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        if running.process.poll() is None:
            os.kill(running.process.pid, number)
    assert running.end().code in (130, -signal.SIGHUP, -signal.SIGTERM, -signal.SIGINT)
    FAULTS["managers told to go"] += 1
    project.hold.unlink()
    finish(project, complete=True)


def test_a_manager_that_stood_still_goes_on_where_it_was(project: Project) -> None:
    """SIGSTOP: its programs end meanwhile, a second engine is refused; SIGCONT: all is taken in, once."""
    running = held(project)
    os.kill(running.process.pid, signal.SIGSTOP)
    refused = project.run("sweep", "complete", "last", code=3)
    assert f"pid {running.process.pid}, drives" in refused.err
    assert "hint: " in refused.err
    project.hold.unlink()
    until(lambda: len(list(project.tree().glob(".hsm/work/*/provenance.json"))) >= 3, "they have ended")
    os.kill(running.process.pid, signal.SIGCONT)
    assert running.end().code == 0
    FAULTS["managers stopped and continued"] += 1
    finish(project, complete=False)


def elsewhere(project: Project) -> Project:
    """Return the project as another host sees it on a shared disk."""
    if os.geteuid() != 0:
        pytest.skip("NOT ROOT: this machine cannot have a second name")
    return limited(project, "unshare", "--uts", "sh", "-c", 'hostname elsewhere; exec "$@"', "sh")


def test_an_engine_on_another_host_is_refused_while_this_one_beats(project: Project) -> None:
    """With the host and the pid that drive it; nothing of the one that runs is touched."""
    running = held(project)
    refused = elsewhere(project).run("sweep", "complete", "last", code=3)
    assert f"on host {os.uname().nodename}, pid {running.process.pid}, drives" in refused.err
    assert "its heartbeat moves" in refused.err
    FAULTS["second engines"] += 1
    project.hold.unlink()
    assert running.end().code == 0
    finish(project, complete=False)


@pytest.mark.parametrize("way", ["--takeover", pytest.param("silence", marks=pytest.mark.timeout(200))])
def test_a_manager_that_was_superseded_while_it_stood_still_does_nothing_more(
    project: Project, way: str
) -> None:
    """Another host takes the sweep; the one that wakes says that it was superseded. Nothing is doubled."""
    if way == "silence" and not IS_NIGHT:
        pytest.skip("BY NIGHT: a heartbeat must stand still for a minute")
    running = held(project)
    os.kill(running.process.pid, signal.SIGSTOP)
    words = ["--takeover"] if way == "--takeover" else []
    rival = elsewhere(project).start("sweep", "complete", "last", *words)
    until(
        lambda: len(list((project.tree() / ".hsm" / "epochs").glob("*.claim"))) == 2, "it is taken over", 100
    )
    os.kill(running.process.pid, signal.SIGCONT)
    project.hold.unlink()  # so that there is something to do for the one that wakes
    answer = running.end()
    check_word(answer)
    assert "another engine took this sweep over" in answer.err
    FAULTS["take-overs"] += 1
    assert rival.end().code in (0, 3), rival.said()
    project.run("sweep", "complete", "last", "-q", "--takeover")  # where the programs are, and their agent
    finish(project, complete=False)
