"""Whole sweeps over real sshd: managers, agents, programs and hosts die, and nothing is lost."""

import os
import signal

import pytest

from tests.integration.ssh.sweeping import Between, Make, agents
from tests.lab.processes import until
from tests.lab.sshd import Host, Lab, Sshd, need_boots

pytestmark = pytest.mark.integration


class TestManagers:
    """The laptop is closed."""

    def test_the_next_manager_adopts_everything_and_reruns_nothing(
        self, sweeping: Make, ssh_host: Host
    ) -> None:
        """Killed with tasks running and waiting on the host; what ended meanwhile is brought home too."""
        sweep = sweeping(8)
        sweep.kill(sweep.held(4, "ssh:alpha:4"))
        until(lambda: not ssh_host.sessions(), "end of the sessions")
        sweep.proceed()
        sweep.running(5)
        sweep.completed()
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
        manager = sweep.held(2, "ssh:alpha:2")
        (agent,) = agents(ssh_host)
        os.kill(agent, signal.SIGKILL)
        sweep.noted("attempt_lost", 2)
        sweep.proceed()
        sweep.finished(manager)
        assert not sweep.events("attempt_failed")
        sweep.check(again=2)

    def test_agents_that_die_again_and_again_are_no_fault_of_their_tasks(
        self, sweeping: Make, ssh_host: Host
    ) -> None:
        """From the second on, what was lost with one costs its task nothing, whose budget was spent."""
        sweep = sweeping(1)
        manager = sweep.held(1, "ssh:alpha:1")
        for lost in range(1, 4):
            (agent,) = agents(ssh_host)
            os.kill(agent, signal.SIGKILL)
            sweep.noted("attempt_lost", lost)
            sweep.running(lost + 1)
        sweep.proceed()
        sweep.finished(manager)
        assert [event.get("charged", True) for event in sweep.events("attempt_lost")] == [True, False, False]
        sweep.check(again=3)

    def test_a_killed_program_is_told_as_such(self, sweeping: Make, ssh_host: Host) -> None:
        """The signal that ended it is known at home; the other task is not touched."""
        sweep = sweeping(2)
        manager = sweep.held(2, "ssh:alpha:2")
        os.kill(sweep.pids()[0], signal.SIGKILL)
        sweep.noted("attempt_failed")
        sweep.proceed()
        manager.communicate(timeout=60)
        assert manager.returncode == 1
        (failed,) = sweep.events("attempt_failed")
        (exited,) = (one for one in sweep.events("attempt_exited") if one["task"] == failed["task"])
        assert exited["exit"]["signal"] == signal.SIGKILL
        assert len(sweep.events("attempt_sealed")) == 1

    def test_a_host_that_boots_anew_goes_on(self, sweeping: Make, ssh_lab: Lab) -> None:
        """Everything on it died: what ran is charged to its machine and run again, what waited is run."""
        need_boots()
        host = ssh_lab.host("alpha", Sshd(has_boots=True))
        sweep = sweeping(4)
        manager = sweep.held(2, "ssh:alpha:2")
        host.crash()
        sweep.noted("source_failed")
        host.start()
        sweep.noted("attempt_lost", 2)
        sweep.proceed()
        sweep.finished(manager)
        told = [(event["cause"], event["reason"]) for event in sweep.events("attempt_lost")]
        assert told == [("node", "its machine was started anew")] * 2
        assert not sweep.events("attempt_failed")
        sweep.check(again=2)

    def test_a_host_that_lost_its_processes_alone_goes_on(self, sweeping: Make, ssh_host: Host) -> None:
        """On the same boot, as when somebody ended them all: its agent had died."""
        sweep = sweeping(4)
        manager = sweep.held(2, "ssh:alpha:2")
        ssh_host.crash()
        sweep.noted("source_failed")
        ssh_host.start()
        sweep.noted("attempt_lost", 2)
        sweep.proceed()
        sweep.finished(manager)
        assert {event["reason"] for event in sweep.events("attempt_lost")} == {"its agent died"}
        sweep.check(again=2)

    def test_a_dead_hosts_share_waits_for_it_and_the_rest_goes_on(self, sweeping: Make, ssh_lab: Lab) -> None:
        """Two hosts and this machine: what runs on the lost one stays its own until it is given up."""
        alpha, beta = ssh_lab.host("alpha"), ssh_lab.host("beta")
        sweep = sweeping(12)
        manager = sweep.held(5, "local:1", "ssh:alpha:2", "ssh:beta:2")
        assert sorted(sweep.places().values()) == [1, 2, 2], "each host runs it from its own bundle"
        beta.crash()
        sweep.noted("source_failed")
        sweep.proceed()
        sweep.noted("attempt_sealed", 8)
        sweep.kill(manager)
        sources = ("--source", "local:1", "--source", "ssh:alpha:2")
        sweep.completed("--abandon-source", "ssh:beta", *sources)
        assert not sweep.events("attempt_failed")
        sweep.check(again=sweep.twice())
        assert not agents(alpha)


class TestElsewhere:
    """A sweep is finished on other sources than it was begun on."""

    def test_from_this_machine_to_a_host(self, sweeping: Make, ssh_host: Host) -> None:
        """What runs here is adopted, what waits for an attempt goes to the host."""
        sweep = sweeping(10)
        sweep.kill(sweep.held(2, "local:2"))
        assert "adopt" in sweep.completed("--source", "ssh:alpha:2")
        assert len(sweep.places()) == 2, "some began here, and some there"
        sweep.check()

    def test_from_a_host_to_this_machine(self, sweeping: Make, ssh_host: Host) -> None:
        """The other way round."""
        sweep = sweeping(10)
        sweep.kill(sweep.held(2, "ssh:alpha:2"))
        assert "adopt" in sweep.completed("--source", "local:2")
        sweep.check()
        until(lambda: not agents(ssh_host), "end of the agent")

    def test_late_results_of_a_given_up_host_are_no_second_results(
        self, sweeping: Make, ssh_host: Host, wire: Between
    ) -> None:
        """Given up while it could not be reached, it is run here; what it brings later changes no result."""
        line = wire(ssh_host)
        sweep = sweeping(4)
        manager = sweep.held(2, "ssh:alpha-wire:2")
        line.cut()
        sweep.kill(manager)
        sweep.completed("--abandon-source", "ssh:alpha-wire", "--source", "local:2")
        sealed = sweep.events("attempt_sealed")
        line.heal()
        sweep.start("complete", "last", "--source", "ssh:alpha-wire:2").communicate(timeout=60)
        assert sweep.events("attempt_sealed") == sealed
        sweep.check(again=sweep.twice())
