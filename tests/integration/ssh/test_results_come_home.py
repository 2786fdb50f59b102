"""Whole sweeps over real sshd: what is seen while tasks run, and what comes home through what harm."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hsm.compute.ssh.connection import SshConnection
from hsm.compute.testing.cases.artifacts import SMALL_HDF5
from tests.integration.cli_project import Project, Running, until
from tests.integration.disks import small_disk
from tests.integration.ssh.reaching import reach
from tests.lab.sshd import Host, Lab
from tests.lab.wire import Wire

pytestmark = pytest.mark.integration

TALK = """
n=0
echo '{"loss": 1}' > metrics.json
while [ ! -e GATE ]; do
  n=$((n+1)); date "+$n %s.%N"; head -c 40000 /dev/urandom >> results/history.bin; sleep 0.1
done
echo end
"""
LEAVE = """
head -c 3000000 /dev/urandom > results/large.bin
mkdir -p 'results/a folder' && cd 'results/a folder'
printf one > '-rf'; printf two > 'new
line'; printf three > 'größe'; : > empty; truncate -s 5000000 sparse
"""


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path, ssh_lab: Lab) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    made = Project(root=root, hsm=hsm_command)
    yield made
    for path in root.glob("gate*"):
        path.touch()


def sweep(project: Project, script: str, tasks: int = 1, extra: str = "") -> None:
    """Write a sweep of tasks that run a script of the shell."""
    script = script.replace("GATE", str(project.root / "gate")).replace("{", "{{").replace("}", "}}")
    command = json.dumps(["/bin/sh", "-c", script])
    values = list(range(tasks))
    text = f"name: far\nprogram: {{command: {command}}}\nsweep: {{grid: {{k: {values}}}}}\n{extra}"
    (project.root / "far.yaml").write_text(text)


def run(project: Project, target: str) -> Running:
    return project.start("sweep", "run", "far.yaml", "--source", target)


def ended(project: Project, running: Running, code: int = 0) -> None:
    """Wait for the end of a sweep; every byte that it brought home is what its manifests tell."""
    answer = running.end()
    assert answer.code == code, answer.out + answer.err
    project.run("sweep", "verify", "last")


def log(project: Project) -> Path:
    return project.tree() / "tasks" / "task_0001" / "stdout.log"


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def test_output_metrics_and_snapshots_are_seen_while_a_task_runs(
    project: Project, ssh_host: Host, wire: Callable[[Host], Wire]
) -> None:
    """Within 2 s on a good link; on one that has gone silent, with their age; and in the end all is whole."""
    line = wire(ssh_host)
    sweep(project, TALK)
    running = run(project, "ssh:alpha-wire")
    until(lambda: (project.root / "sweeps").exists() and len(lines(log(project))) > 3, "output at home")
    lags = []
    for _ in range(5):
        count = len(lines(log(project)))
        until(lambda: len(lines(log(project))) > count, "more output")  # noqa: B023
        fresh = lines(log(project))[count]
        lags.append(time.time() - float(fresh.split()[1]))
    assert max(lags) < 2, lags
    task = log(project).parent
    assert json.loads((task / "metrics.json").read_text()) == {"loss": 1}
    until((task / "results" / "history.bin.partial").exists, "a snapshot")
    assert not (task / "results" / "history.bin").exists()
    following = project.start("logs", "1", "-f")
    until(lambda: len(following.out.read_text().splitlines()) > 3, "output of `hsm logs -f`")
    line.hold()
    until(lambda: "no word from ssh:alpha-wire" in following.said(), "the age of what is shown")
    line.heal()
    until(lambda: "word comes from ssh:alpha-wire again" in following.said(), "word")
    (project.root / "gate").touch()
    ended(project, running)
    assert following.end().out.splitlines() == lines(log(project)) == [*lines(log(project))[:-1], "end"]
    assert sorted(path.name for path in (task / "results").iterdir()) == ["history.bin"]


def test_transfers_that_are_cut_go_on(project: Project, ssh_host: Host, wire: Callable[[Host], Wire]) -> None:
    """The line is reset at one byte after another; everything comes home, and nothing is run twice."""
    line = wire(ssh_host)
    sweep(project, f"echo x >> {project.root}/ran; {LEAVE}", tasks=6)
    running = run(project, "ssh:alpha-wire")
    for megabytes in range(1, 10):
        line.to_client.reset_at = line.to_client.passed + (megabytes % 4 + 1) * 700_000
        until(lambda: line.to_client.reset_at is None or running.process.poll() is not None, "a cut")
    line.to_client.reset_at = None
    ended(project, running)
    assert line.dials > 3
    assert (project.root / "ran").read_text() == "x\n" * 6
    assert line.to_client.passed < 2.5 * 6 * 3_000_000
    found = project.tree() / "tasks" / "task_0006" / "results" / "a folder"
    assert {path.name for path in found.iterdir()} == {"-rf", "new\nline", "größe", "empty", "sparse"}
    assert (found / "sparse").stat().st_blocks * 512 < 1_000_000


HDF5 = f"""import os
head = bytes.fromhex("{SMALL_HDF5.hex()}")
open("results/history.h5", "wb").write(head + os.urandom(800 - len(head)))
"""


def test_another_manager_goes_on_with_a_transfer(
    project: Project, ssh_host: Host, wire: Callable[[Host], Wire]
) -> None:
    """Killed in the middle of a large file, the manager is followed by one that asks only for the rest."""
    line, size = wire(ssh_host), 12_000_000
    sweep(project, f"echo x >> {project.root}/ran; head -c {size} /dev/urandom > results/large.bin")
    line.to_client.bytes_per_s = 4e6
    running = run(project, "ssh:alpha-wire")
    until(lambda: line.to_client.passed > size // 2, "half of it")
    running.kill()
    line.to_client.bytes_per_s = None
    before = line.to_client.passed
    project.run("sweep", "complete", "last", "--source", "ssh:alpha-wire")
    project.run("sweep", "verify", "last")
    assert line.to_client.passed - before < 0.7 * size
    assert (project.root / "ran").read_text() == "x\n"


def spoil(work: Path) -> None:
    """Cut the file of the first task short, change a byte in the second's, let the third's grow."""
    first, second, third, _ = (place / "results" / "history.h5" for place in sorted(work.iterdir()))
    os.truncate(first, 300)
    data = bytearray(second.read_bytes())
    data[500] ^= 1
    second.write_bytes(data)
    third.write_bytes(third.read_bytes() + b"more")


def test_what_was_damaged_on_the_host_is_no_result(
    project: Project, ssh_host: Host, wire: Callable[[Host], Wire]
) -> None:
    """Files that were cut short or changed before they came home: `transfer`, by name; others are results."""
    line = wire(ssh_host)
    script = f"while [ ! -e GATE ]; do sleep 0.05; done; {sys.executable} -c '{HDF5}'"
    sweep(project, script, 4, "retry: {transfer: 0}\nmax_failure_rate: 1.0\n")
    running = run(project, "ssh:alpha-wire:4")
    work = ssh_host.home / ".hsm" / "sweeps"
    until(lambda: len(list(work.glob("*/.hsm/work/*/stdout.log"))) == 4, "four running tasks")
    line.cut()
    (project.root / "gate").touch()
    until(lambda: len(list(work.glob("*/.hsm/work/*/provenance.json"))) == 4, "their ends")
    (sweep_dir,) = work.iterdir()
    spoil(sweep_dir / ".hsm" / "work")
    line.heal()
    answer = running.end()
    assert answer.code == 1, answer.err
    (sweep_home,) = (project.root / "sweeps" / "outputs").iterdir()
    found = [(sweep_home / "tasks" / f"task_000{n}" / "status.yaml").read_text() for n in (1, 2, 3, 4)]
    assert ['status: "sealed"' in text for text in found] == [False, False, True, True]
    assert "results/history.h5: only 300 bytes of it are left" in found[0]
    assert "results/history.h5: its content is not what its manifest says" in found[1]
    assert all("transfer" in text for text in found[:2])


def test_five_thousand_small_files_come_home(project: Project, ssh_host: Host) -> None:
    """As one stream, in seconds."""
    script = f"""{sys.executable} -c '
import os
for n in range(5000):
    open("results/%05d" % n, "wb").write(os.urandom(2000))
'"""
    sweep(project, script)
    ended(project, run(project, "ssh:alpha"))
    assert len(list((log(project).parent / "results").iterdir())) == 5000


def test_a_full_disk_at_home_is_waited_out(project: Project, ssh_host: Host) -> None:
    """The user is told, nothing is lost or run twice, and all comes home once there is room."""
    with small_disk(project.root / "sweeps", "64m") as disk:
        filler = disk / "filler"
        filler.write_bytes(bytes(40 << 20))
        sweep(project, f"echo x >> {project.root}/ran; head -c 9000000 /dev/urandom > results/large.bin", 2)
        running = run(project, "ssh:alpha")
        until(lambda: "No space left" in running.said(), "word of the full disk")
        assert running.process.poll() is None
        filler.unlink()
        ended(project, running)
        assert (project.root / "ran").read_text() == "x\n" * 2


def test_a_program_that_fills_the_disk_of_its_host_fails_and_tells_why(
    project: Project, ssh_host: Host
) -> None:
    """The program that filled it has failed; its results make room for its end, which is home in any case."""
    with small_disk(ssh_host.home / ".hsm", "12m") as disk:
        script = "echo begun; while [ ! -e GATE ]; do sleep 0.05; done"
        sweep(project, f"{script}; head -c 30000000 /dev/urandom > results/large.bin || exit 3")
        running = run(project, "ssh:alpha")
        until(lambda: list(disk.glob("sweeps/*/.hsm/work/*/stdout.log")) != [], "a task that runs")
        filler = disk / "filler"
        filler.write_bytes(bytes(5 << 20))
        (project.root / "gate").touch()
        assert running.end().code == 1
        assert "on a full disk" in project.run("monitor", "errors", "last").out
        assert lines(log(project)) == ["begun"]


async def test_the_quick_cipher_is_taken_unless_the_configuration_says_another(
    ssh_lab: Lab, ssh_host: Host
) -> None:
    """AES in hardware before anything else; `Ciphers` in ssh_config is obeyed."""
    ssh_lab.name("odd", ssh_host, ssh_host.port, "Ciphers aes256-ctr")
    for name, cipher in (("alpha", "aes128-gcm@openssh.com"), ("odd", "aes256-ctr")):
        async with reach(name).connected() as connection:
            assert isinstance(connection, SshConnection)
            assert connection.cipher == cipher
