"""Hosts that are reached over a connection which somebody logged in to by hand."""

import os
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm.compute.link import LinkLost
from hsm.compute.ssh.faults import LoginNeeded
from hsm.compute.ssh.openssh import OpenSshConnection
from hsm.compute.ssh.shipping import agent_program
from tests.integration.ssh.reaching import reach, refusal, running
from tests.integration.ssh.sweeping import Sweeping
from tests.lab.processes import is_alive, name_of, until
from tests.lab.sshd import Host, Lab, Sshd

pytestmark = pytest.mark.integration

SECOND_FACTOR = Sshd(extra=("PasswordAuthentication yes", "AuthenticationMethods publickey,password"))
"""No key alone opens this host; nothing here can answer what it asks for."""


@contextmanager
def logged_in(command: str) -> Iterator[None]:
    """Run the command that a hint names, as the user does, and log out again."""
    argv = shlex.split(command)
    master = subprocess.Popen([word for word in argv if word != "-f"], stdin=subprocess.DEVNULL)
    leave = [word for word in argv if word not in ("-f", "-N", "-M")]
    until(
        lambda: subprocess.run([*leave, "-O", "check"], check=False, capture_output=True).returncode == 0,
        "login",
    )
    try:
        yield
    finally:
        master.terminate()
        master.wait(20)


def command_of(hint: str) -> str:
    """Return the command that a hint names."""
    return hint.split("`")[1]


async def test_without_a_login_the_command_that_makes_one_is_told(ssh_host: Host) -> None:
    """Nothing is dialled; after the command everything works, and leaving does not log out."""
    way = reach("alpha", transport="openssh")
    error = await refusal(way)
    assert isinstance(error, LoginNeeded)
    assert error.transient
    assert "Connection from" not in ssh_host.log.read_text()
    with logged_in(command_of(error.hint)):
        for _ in range(2):
            async with way.connected() as connection:
                assert isinstance(connection, OpenSshConnection)
                done = await connection.run("cat; exit 3", stdin=b"x" * 1_000_000, timeout_s=20)
                assert (done.code, done.stdout) == (3, b"x" * 1_000_000)
                async with running(connection) as link:
                    assert (await link.call("facts")).fields["write"] == ""
        assert (ssh_host.home / ".hsm" / agent_program().path).is_file()
        assert ssh_host.log.read_text().count("Accepted publickey") == 1
    assert isinstance(await refusal(way), LoginNeeded)


async def test_a_control_path_of_the_configuration_is_used(
    ssh_lab: Lab, ssh_host: Host, tmp_path: Path
) -> None:
    """The command that is told then names none."""
    socket = f"/tmp/hsm-test-{os.getpid()}"
    ssh_lab.ssh_config.write_text(f"ControlPath {socket}\n{ssh_lab.ssh_config.read_text()}")
    way = reach("alpha", transport="openssh")
    command = command_of((await refusal(way)).hint)
    assert "-S" not in shlex.split(command)
    with logged_in(command):
        assert f"ControlPath {socket}" in ssh_lab.ssh_config.read_text()
        async with way.connected() as connection:
            assert (await connection.run("echo on", timeout_s=20)).stdout == b"on\n"


async def test_a_login_that_goes_is_not_made_again(ssh_host: Host) -> None:
    """What was asked is then lost, and ssh itself dials nobody."""
    way = reach("alpha", transport="openssh")
    command = command_of((await refusal(way)).hint)
    with logged_in(command):
        async with way.connected() as connection:
            ssh_host.kill_sessions()
            with pytest.raises(LinkLost):
                await connection.run("true", timeout_s=20)
    assert ssh_host.log.read_text().count("Connection from") == 1


async def test_a_host_with_a_second_factor_is_asked_by_nobody_but_the_user(ssh_lab: Lab) -> None:
    """The usual transport is refused once, and its hint leads to this one, which asks for a login."""
    ssh_lab.host("strict", SECOND_FACTOR)
    assert "transport: openssh" in (await refusal(reach("strict"))).hint
    assert isinstance(await refusal(reach("strict", transport="openssh")), LoginNeeded)


async def test_no_client_is_left_behind(ssh_lab: Lab, ssh_host: Host) -> None:
    """Neither after a script that took too long, nor after a relay."""
    way = reach("alpha", transport="openssh")
    with logged_in(command_of((await refusal(way)).hint)):
        async with way.connected() as connection:
            with pytest.raises(LinkLost, match="no answer"):
                await connection.run("sleep 300", timeout_s=0.3)
            async with running(connection) as link:
                await link.call("facts")
        assert len(clients_of(ssh_lab)) == 1, "the master is the user's"


async def test_a_sweep_outlives_its_login(tmp_path: Path, hsm_command: Path, ssh_host: Host) -> None:
    """It says what to type, dials nobody meanwhile, and goes on with what ran there when somebody logs in."""
    sweep = Sweeping(tmp_path, hsm_command, 3)
    (sweep.project / "hsm.yaml").write_text("sources: {ssh:alpha: {options: {transport: openssh}}}\n")
    command = command_of((await refusal(reach("alpha", transport="openssh"))).hint)
    sweep.hold()
    with logged_in(command):
        manager = sweep.start("run", "s.yaml", "--source", "ssh:alpha:2")
        sweep.running(2)
    until(lambda: "nobody is logged in" in str(sweep.events("source_failed")), "word of the login that went")
    assert "ssh -F" in sweep.events("source_failed")[-1]["hint"]
    dials = ssh_host.log.read_text().count("Connection from")
    with logged_in(command):
        sweep.proceed()
        sweep.finished(manager)
    assert ssh_host.log.read_text().count("Connection from") == dials + 1
    assert set(sweep.begun().values()) == {1}
    sweep.check()


def clients_of(lab: Lab) -> list[int]:
    """Return OpenSSH's clients that use the lab's configuration."""
    return [
        pid
        for pid in (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        if name_of(pid) == "ssh" and is_alive(pid) and str(lab.ssh_config) in command_line(pid)
    ]


def command_line(pid: int) -> str:
    """Return the words of a process, empty when it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
