"""Whole sweeps over lines to real sshd that are cut, held and refused: nothing is lost or run twice."""

import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.integration.ssh.sweeping import Between, Make, Sweeping, agents
from tests.lab.processes import until
from tests.lab.sshd import Host, Lab, Sshd
from tests.lab.wire import Wire

pytestmark = pytest.mark.integration

QUICK = ("ServerAliveInterval 1", "ConnectTimeout 2")
"""A line that is given up after 4 s without a word, not after 40."""


def quick(lab: Lab, host: Host, line: Wire) -> str:
    """Give the line a name under which HSM is not patient."""
    lab.name("quick", host, line.port, *QUICK)
    return "ssh:quick"


def _await_dial(line: Wire, count: int, manager: "subprocess.Popen[str]") -> None:
    """Wait until the line was dialled so often, or all is over."""
    until(lambda: line.dials >= count or manager.poll() is not None, "new dial", 30.0)


def no_harm(sweep: Sweeping) -> None:
    """Make sure that the fault cost no task anything: nothing failed, was lost, or ran twice."""
    assert not [one for kind in ("attempt_lost", "attempt_failed") for one in sweep.events(kind)]
    sweep.check()


class TestCuts:
    """Both ends notice at once."""

    def test_a_cut_line_costs_nothing(self, sweeping: Make, ssh_host: Host, wire: Between) -> None:
        """Programs go on, and come home when the line is there again; nothing runs twice."""
        line = wire(ssh_host)
        sweep = sweeping(12)
        manager = sweep.held(4, "ssh:alpha-wire:4")
        line.cut()
        sweep.noted("source_failed")
        sweep.proceed()
        sweep.running(5)
        line.heal()
        sweep.finished(manager)
        no_harm(sweep)

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
        assert line.dials >= 2, "it was never cut"
        no_harm(sweep)

    def test_a_hand_over_that_is_cut_in_the_middle_goes_on_from_there(
        self, sweeping: Make, ssh_host: Host, wire: Between
    ) -> None:
        """The host has a part of the orders; it gets the rest, and runs each once."""
        line = wire(ssh_host)
        sweep = sweeping(8, bulk=60_000)
        line.to_host.bytes_per_s = 150_000
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha-wire:8")
        sweep.noted("attempt_intended", 8)
        until(lambda: ordered(ssh_host) > 100_000, "a part of the orders", 30.0)
        line.cut()
        sweep.noted("source_failed")
        assert 100_000 < ordered(ssh_host) < 8 * 60_000
        line.to_host.bytes_per_s = None
        line.heal()
        sweep.finished(manager)
        no_harm(sweep)

    def test_sshd_may_be_restarted(self, sweeping: Make, ssh_host: Host) -> None:
        """Connections are lost, the agent is not."""
        sweep = sweeping(6)
        manager = sweep.held(2, "ssh:alpha:2")
        ssh_host.restart()
        sweep.noted("source_opened", 2)
        sweep.proceed()
        sweep.finished(manager)
        no_harm(sweep)

    def test_a_line_that_is_cut_for_good_is_left_to_the_user(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host, wire: Between
    ) -> None:
        """The rest goes on elsewhere; who leaves is told how to give up what cannot be reached."""
        line = wire(ssh_host)
        sweep = sweeping(8)
        manager = sweep.held(3, quick(ssh_lab, ssh_host, line) + ":2", "local:1")
        line.cut()
        sweep.noted("source_failed", 3)
        sweep.proceed()
        sweep.noted("attempt_sealed", 2)
        assert manager.poll() is None, "it waits for the host"
        assert "refuses connections" in sweep.events("source_failed")[-1]["reason"]
        manager.send_signal(signal.SIGINT)
        said, _ = manager.communicate(timeout=60)
        assert "hsm sweep complete" in said
        sweep.completed("--abandon-source", "ssh:quick", "--source", "local:2")
        assert not sweep.events("attempt_failed")
        sweep.check(again=sweep.twice())


class TestSilence:
    """Packets are lost, and neither end knows."""

    def test_a_line_that_goes_silent_is_noticed_and_costs_nothing(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host, wire: Between
    ) -> None:
        """Within four keepalives, one of which is 10 s unless ssh_config says less; dials run out of time."""
        line = wire(ssh_host)
        sweep = sweeping(12)
        manager = sweep.held(4, quick(ssh_lab, ssh_host, line) + ":4")
        line.hold()
        held_at = time.time()
        sweep.noted("source_failed")
        assert sweep.events("source_failed")[0]["at"] - held_at < 4 * 1 + 6
        sweep.proceed()
        sweep.running(5)
        sweep.noted("source_failed", 2)
        assert "no answer from quick within 2 s" in sweep.events("source_failed")[1]["reason"]
        line.heal()
        sweep.finished(manager)
        no_harm(sweep)

    def test_a_manager_that_is_killed_on_a_silent_line_is_followed_by_another(
        self, sweeping: Make, ssh_lab: Lab, ssh_host: Host, wire: Between
    ) -> None:
        """By another way: the host still holds the first one's line, and does not know it to be dead."""
        line = wire(ssh_host)
        sweep = sweeping(6)
        manager = sweep.held(2, quick(ssh_lab, ssh_host, line) + ":2")
        line.hold()
        sweep.kill(manager)
        assert ssh_host.sessions()
        sweep.proceed()
        sweep.running(3)
        config = ssh_lab.ssh_config.read_text()
        ssh_lab.ssh_config.write_text(config.replace(f"Port {line.port}", f"Port {ssh_host.port}"))
        sweep.completed()
        no_harm(sweep)
        assert not agents(ssh_host)


class TestDials:
    """sshd takes no more."""

    def test_a_host_that_drops_dials_is_tried_again(
        self, sweeping: Make, ssh_lab: Lab, wire: Between
    ) -> None:
        """MaxStartups: while somebody else is logging in, sshd closes without a word."""
        host = ssh_lab.host("busy", Sshd(max_startups="1:100:1"))
        line = wire(host)
        sweep = sweeping(4)
        manager = sweep.held(2, "ssh:busy-wire:2")
        line.cut()
        sweep.noted("source_failed")
        with socket.create_connection((host.setup.address, host.port)) as other:
            assert other.recv(4) == b"SSH-"
            line.heal()
            until(
                lambda: "no connection to busy" in sweep.events("source_failed")[-1]["reason"], "drop", 30.0
            )
        sweep.proceed()
        sweep.finished(manager)
        no_harm(sweep)

    def test_two_channels_are_enough_for_a_sweep(self, sweeping: Make, ssh_lab: Lab) -> None:
        """MaxSessions 2, less than HSM would like."""
        ssh_lab.host("narrow", Sshd(max_sessions=2))
        sweep = sweeping(6)
        sweep.finished(sweep.start("run", "s.yaml", "--source", "ssh:narrow:2"))
        no_harm(sweep)


def ordered(host: Host) -> int:
    """Return how many bytes of orders a host has."""
    logs: list[Path] = list((host.home / ".hsm" / "sweeps").glob("*/.hsm/agents/*/inbox/*.log"))
    return sum(path.stat().st_size for path in logs)
