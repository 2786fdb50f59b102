"""The lab itself: what its hosts and wires do to a connection, shown with OpenSSH's own client."""

import socket
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.lab.namespaces import Cable
from tests.lab.processes import until
from tests.lab.sshd import Host, Lab, Sshd
from tests.lab.wire import Wire

pytestmark = pytest.mark.integration


def test_a_host_has_a_home_of_its_own(ssh_lab: Lab, ssh_host: Host) -> None:
    """Whoever logs in finds an empty HOME below the test's folder."""
    done = ssh_lab.ssh("alpha", "cd && pwd && ls -A")
    assert done.stdout.splitlines() == [str(ssh_host.home)], done.stderr


def test_what_left_its_session_outlives_it_but_not_the_host(ssh_lab: Lab, ssh_host: Host) -> None:
    """As on a real host: the end of a connection kills nothing, a crash kills all."""
    ssh_lab.ssh("alpha", "setsid sleep 300 </dev/null >/dev/null 2>&1 & exit 0")
    ssh_host.kill_sessions()
    ssh_host.restart()
    assert len(ssh_host.running()) == 1
    ssh_host.crash()
    assert ssh_host.running() == []


def test_a_host_with_another_key_is_refused(ssh_lab: Lab, ssh_host: Host) -> None:
    """The client's known_hosts is not the host's business."""
    ssh_host.rekey()
    assert "HOST IDENTIFICATION HAS CHANGED" in ssh_lab.ssh("alpha", "true").stderr


def test_a_wire_delays_without_costing_bandwidth(
    ssh_lab: Lab, ssh_host: Host, wire: Callable[[Host], Wire]
) -> None:
    """Every round trip takes its time, 20 MB in a row do not take many of them."""
    line = wire(ssh_host)
    line.set_delay(0.1)
    begun = time.monotonic()
    done = ssh_lab.ssh("alpha-wire", "head -c 20000000 /dev/zero | tr '\\0' x; echo end")
    took = time.monotonic() - begun
    assert done.stdout.endswith("end\n")
    assert 0.5 < took < 8
    assert line.to_client.passed > 20_000_000


def test_a_wire_resets_at_a_byte(ssh_lab: Lab, ssh_host: Host, wire: Callable[[Host], Wire]) -> None:
    """No byte behind it passes, and the next connection is whole."""
    line = wire(ssh_host)
    line.to_client.reset_at = 500_000
    assert ssh_lab.ssh("alpha-wire", "head -c 1000000 /dev/zero").returncode == 255
    assert line.to_client.passed == 500_000
    assert ssh_lab.ssh("alpha-wire", "true").returncode == 0


def test_a_held_wire_passes_nothing_until_it_is_healed(
    ssh_lab: Lab, ssh_host: Host, wire: Callable[[Host], Wire]
) -> None:
    """The connection stays open meanwhile, and goes on."""
    line = wire(ssh_host)
    argv = ["ssh", "-F", str(ssh_lab.ssh_config), "alpha-wire", "echo ready; cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        assert client.stdout.readline() == b"ready\n"
        line.hold()
        before = line.to_host.passed
        client.stdin.write(b"late\n")
        client.stdin.flush()
        with pytest.raises(subprocess.TimeoutExpired):
            client.wait(0.3)
        assert line.to_host.passed == before
        line.heal()
        assert client.stdout.readline() == b"late\n"
        client.stdin.close()
        assert client.wait(10) == 0


def test_a_cut_wire_refuses_until_it_is_healed(
    ssh_lab: Lab, ssh_host: Host, wire: Callable[[Host], Wire]
) -> None:
    """Connections break at once, and dials are refused."""
    line = wire(ssh_host)
    with subprocess.Popen(["ssh", "-F", str(ssh_lab.ssh_config), "alpha-wire", "sleep 100"]) as client:
        until(lambda: line.to_client.passed > 2000, "login")
        line.cut()
        assert client.wait(10) == 255
    assert "refused" in ssh_lab.ssh("alpha-wire", "true").stderr
    line.heal()
    assert ssh_lab.ssh("alpha-wire", "true").returncode == 0


def test_a_wire_that_ends_while_it_passes_on_ends_without_a_word(
    ssh_host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """What it was about is cancelled, which is no fault of anything."""
    line = Wire(ssh_host.port)
    with socket.create_connection(("127.0.0.1", line.port)) as caller:
        assert caller.recv(4) == b"SSH-"
        line.end()
    assert caplog.messages == []


def test_a_deaf_port_answers_no_dial(deaf_port: int) -> None:
    """Not even with a refusal."""
    with socket.socket() as caller:
        caller.settimeout(0.5)
        with pytest.raises(TimeoutError):
            caller.connect(("127.0.0.1", deaf_port))


def test_a_cable_that_drops_is_silent(ssh_lab: Lab, cable: Cable) -> None:
    """Dials run out of time, and after it is healed they do not."""
    ssh_lab.host("remote", Sshd(netns=cable.netns, address=cable.address))
    assert ssh_lab.ssh("remote", "echo $HSM_LAB_HOST").stdout == "remote\n"
    cable.drop()
    done = ssh_lab.ssh("-oConnectTimeout=1", "remote", "true")
    assert "timed out" in done.stderr
    cable.heal()
    assert ssh_lab.ssh("remote", "true").returncode == 0
