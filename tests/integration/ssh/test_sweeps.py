"""Whole sweeps over real sshd: managers, agents, programs, hosts and lines die, and nothing is lost."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.ssh.sweeping import Sweeping
from tests.lab.processes import until
from tests.lab.sshd import Host, Lab
from tests.lab.wire import Wire

pytestmark = pytest.mark.integration

Make = Callable[[int], Sweeping]
Between = Callable[[Host], Wire]


@pytest.fixture
def sweeping(tmp_path: Path, ssh_lab: Lab, hsm_command: Path) -> Iterator[Make]:
    """Return what makes a sweep of so many tasks, whose programs go on at the end of the test."""
    made: list[Sweeping] = []

    def make(tasks: int) -> Sweeping:
        made.append(Sweeping(tmp_path, hsm_command, tasks))
        return made[-1]

    yield make
    for one in made:
        one.end()


def agents(host: Host) -> list[int]:
    """Return the agents that run on a host."""
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in host.running()}
    return [pid for pid, words in commands.items() if b"--ready" in words]


def _await_dial(line: Wire, count: int, manager: "subprocess.Popen[str]") -> None:
    """Wait until the line was dialled so often, or all is over."""
    until(lambda: line.dials >= count or manager.poll() is not None, "new dial", 30.0)


class TestManagers:
    """The laptop is closed."""

    def test_the_next_manager_adopts_everything_and_reruns_nothing(
        self, sweeping: Make, ssh_host: Host
    ) -> None:
        """Killed with tasks running and waiting on the host; what ended meanwhile is brought home too."""
        sweep = sweeping(8)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:4")
        sweep.running(4)
        sweep.kill(manager)
        until(lambda: not ssh_host.sessions(), "end of the sessions")
        sweep.proceed()
        until(lambda: len(sweep.begun()) >= 5, "a program that began without a manager")
        sweep.finished(sweep.start("complete", "last"))
        assert set(sweep.begun().values()) == {1}
        sweep.check()
        assert not agents(ssh_host)

    def test_nothing_runs_or_lies_there_when_a_sweep_is_over(self, sweeping: Make, ssh_host: Host) -> None:
        """No process, and of the sweep no file."""
        sweep = sweeping(3)
        sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:alpha:2"))
        until(lambda: not ssh_host.running(), "end of all processes")
        assert not list((ssh_host.home / ".hsm" / "sweeps").iterdir())
        sweep.check()


class TestHosts:
    """What runs there dies."""

    def test_a_dead_agents_tasks_are_run_again(self, sweeping: Make, ssh_host: Host) -> None:
        """They are LOST, which is no failure of theirs; what waited is run once."""
        sweep = sweeping(4)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        sweep.running(2)
        sweep.noted("attempt_started", 2)
        (agent,) = agents(ssh_host)
        os.kill(agent, signal.SIGKILL)
        sweep.noted("attempt_lost", 2)
        sweep.proceed()
        sweep.finished(manager)
        assert sorted(sweep.begun().values()) == [1, 1, 2, 2]
        assert not sweep.events("attempt_failed")
        sweep.check()

    def test_a_killed_program_is_told_as_such(self, sweeping: Make, ssh_host: Host) -> None:
        """The signal that ended it is known at home; the other task is not touched."""
        sweep = sweeping(2)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        sweep.running(2)
        os.kill(sweep.pids()[0], signal.SIGKILL)
        sweep.noted("attempt_failed")
        sweep.proceed()
        manager.communicate(timeout=60)
        assert manager.returncode == 1
        (failed,) = sweep.events("attempt_failed")
        (exited,) = (one for one in sweep.events("attempt_exited") if one["task"] == failed["task"])
        assert exited["exit"]["signal"] == signal.SIGKILL
        assert len(sweep.events("attempt_sealed")) == 1

    def test_a_host_that_boots_anew_goes_on(self, sweeping: Make, ssh_host: Host) -> None:
        """Everything on it died: what ran is LOST and run again, what waited is run."""
        sweep = sweeping(4)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        sweep.running(2)
        sweep.noted("attempt_started", 2)
        ssh_host.crash()
        sweep.noted("source_failed")
        ssh_host.start()
        sweep.noted("attempt_lost", 2)
        sweep.proceed()
        sweep.finished(manager)
        assert sorted(sweep.begun().values()) == [1, 1, 2, 2]
        sweep.check()

    def test_a_dead_hosts_share_waits_for_it_and_the_rest_goes_on(self, sweeping: Make, ssh_lab: Lab) -> None:
        """Two hosts and this machine: what runs on the lost one stays its own until it is given up."""
        alpha, beta = ssh_lab.host("alpha"), ssh_lab.host("beta")
        sweep = sweeping(12)
        sweep.hold()
        words = ["--source", "local:1", "--source", "ssh:alpha:2", "--source", "ssh:beta:2"]
        manager = sweep.start("run", "s.yaml", *words)
        sweep.running(5)
        sweep.noted("attempt_started", 5)
        assert sorted(sweep.places().values()) == [1, 2, 2], "each host runs it from its own bundle"
        beta.crash()
        sweep.noted("source_failed")
        sweep.proceed()
        sweep.noted("attempt_sealed", 8)
        sweep.kill(manager)
        again = sweep.start("complete", "last", "--abandon-source", "ssh:beta", *words[:4])
        sweep.finished(again)
        assert not sweep.events("attempt_failed")
        sweep.check()
        assert not agents(alpha)


class TestLines:
    """The line is cut."""

    def test_a_cut_line_costs_nothing(self, sweeping: Make, ssh_host: Host, wire: Between) -> None:
        """Programs go on, and come home when the line is there again; nothing runs twice."""
        line = wire(ssh_host)
        sweep = sweeping(12)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha-wire:4")
        sweep.running(4)
        sweep.noted("attempt_started", 4)
        line.cut()
        sweep.noted("source_failed")
        sweep.proceed()
        sweep.running(5)
        line.heal()
        sweep.finished(manager)
        assert set(sweep.begun().values()) == {1}
        assert not [one for kind in ("attempt_lost", "attempt_failed") for one in sweep.events(kind)]
        sweep.check()

    def test_a_line_that_is_cut_again_and_again_costs_nothing(
        self, sweeping: Make, ssh_host: Host, wire: Between
    ) -> None:
        """Whatever byte it is cut at, every task runs once and is sealed once."""
        line = wire(ssh_host)
        sweep = sweeping(40)
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha-wire:4")
        for sealed in (1, 8, 16, 24):
            sweep.noted("attempt_sealed", sealed)
            dialled = line.dials + 1
            line.to_client.reset_at = line.to_client.passed + 100 * sealed
            _await_dial(line, dialled, manager)
        sweep.finished(manager)
        assert line.dials >= 4
        assert set(sweep.begun().values()) == {1}
        sweep.check()

    def test_sshd_may_be_restarted(self, sweeping: Make, ssh_host: Host) -> None:
        """Connections are lost, the agent is not."""
        sweep = sweeping(6)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        sweep.running(2)
        sweep.noted("attempt_started", 2)
        ssh_host.restart()
        sweep.noted("source_opened", 2)
        sweep.proceed()
        sweep.finished(manager)
        assert set(sweep.begun().values()) == {1}
        sweep.check()


class TestElsewhere:
    """A sweep is finished on other sources than it was begun on."""

    def test_from_this_machine_to_a_host(self, sweeping: Make, ssh_host: Host) -> None:
        """What runs here is adopted, what waits for an attempt goes to the host."""
        sweep = sweeping(10)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "local:2")
        sweep.running(2)
        sweep.kill(manager)
        sweep.proceed()
        said = sweep.finished(sweep.start("complete", "last", "--source", "ssh:alpha:2"))
        assert "adopt" in said
        assert set(sweep.begun().values()) == {1}
        assert len(sweep.places()) == 2, "some began here, and some there"
        sweep.check()

    def test_from_a_host_to_this_machine(self, sweeping: Make, ssh_host: Host) -> None:
        """The other way round."""
        sweep = sweeping(10)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        sweep.running(2)
        sweep.kill(manager)
        sweep.proceed()
        said = sweep.finished(sweep.start("complete", "last", "--source", "local:2"))
        assert "adopt" in said
        assert set(sweep.begun().values()) == {1}
        sweep.check()
        until(lambda: not agents(ssh_host), "end of the agent")

    def test_late_results_of_a_given_up_host_are_no_second_results(
        self, sweeping: Make, ssh_host: Host, wire: Between
    ) -> None:
        """Given up while it could not be reached, it is run here; what it brings later changes no result."""
        line = wire(ssh_host)
        sweep = sweeping(4)
        sweep.hold()
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha-wire:2")
        sweep.running(2)
        sweep.noted("attempt_started", 2)
        line.cut()
        sweep.kill(manager)
        sweep.proceed()
        words = ["--abandon-source", "ssh:alpha-wire", "--source", "local:2"]
        sweep.finished(sweep.start("complete", "last", *words))
        sealed = sweep.events("attempt_sealed")
        line.heal()
        sweep.start("complete", "last", "--source", "ssh:alpha-wire:2").communicate(timeout=60)
        assert sweep.events("attempt_sealed") == sealed
        sweep.check()
