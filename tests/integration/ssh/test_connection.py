"""Connections to real sshd: what is run there, how the agent's program gets there, what shells do to it."""

import asyncio
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hsm.compute.link import LinkLost
from hsm.compute.ssh.connection import CHANNEL_PAUSES_S, KEEPALIVE_COUNT, KEEPALIVE_S, SshConnection
from hsm.compute.ssh.faults import HostKeyRefused, HostUnfit, HostUnreachable, LoginRefused, SshConfigRefused
from hsm.compute.ssh.reach import Connection, Reach
from hsm.compute.ssh.shipping import agent_program
from tests.integration.ssh.reaching import quick_reach, reach, refusal, running
from tests.lab.namespaces import Cable
from tests.lab.processes import until
from tests.lab.sshd import Host, Lab, Sshd, make_key
from tests.lab.wire import Wire

pytestmark = pytest.mark.integration

LOUD = "echo welcome; echo warning >&2; printf '\\033]0;owned\\007\\033[2J'\n"
"""What a startup file may print: words, and what would change a terminal's title and clear it."""


class TestScripts:
    """What is run on a host, and what comes back."""

    async def test_a_script_gets_its_input_and_gives_its_outputs_and_status(self, ssh_host: Host) -> None:
        """Bytes as they are, whatever signs the script itself is made of."""
        data = bytes(range(256)) * 1000
        async with reach("alpha").connected() as connection:
            done = await connection.run(
                "cat; echo 'it'\"'\"'s é \\t !1 $HOME' >&2; exit 3", stdin=data, timeout_s=20
            )
        assert (done.code, done.stdout) == (3, data)
        assert done.stderr.decode() == "it's é \\t !1 $HOME\n"

    async def test_it_runs_in_a_login_shell(self, ssh_host: Host) -> None:
        """What .bash_profile sets is set."""
        (ssh_host.home / ".bash_profile").write_text("export WHO=profile\n")
        async with reach("alpha").connected() as connection:
            done = await connection.run('printf %s "$WHO"', timeout_s=20)
        assert done.stdout == b"profile"

    async def test_startup_files_may_print_what_they_like(self, ssh_host: Host) -> None:
        """It is no part of what a script says; it is kept, and a relay starts in spite of it."""
        for name in (".bashrc", ".bash_profile", ".bash_logout"):
            (ssh_host.home / name).write_text(LOUD + f"echo {name}\n")
        async with reach("alpha").connected() as connection:
            done = await connection.run("echo data", timeout_s=20)
            async with running(connection) as link:
                assert (await link.call("facts")).fields["write"] == ""
        assert done.stdout == b"data\n"
        assert ".bash_profile" in done.noise
        assert "owned" in done.noise

    async def test_a_script_that_takes_too_long_is_given_up_and_ended(self, ssh_host: Host) -> None:
        """What became of it is not known, and the connection can be used on."""
        async with reach("alpha").connected() as connection:
            with pytest.raises(LinkLost, match=r"no answer within 0\.5 s") as caught:
                await connection.run("sleep 300", timeout_s=0.5)
            assert caught.value.transient
            if os.geteuid() != 0:  # sshd passes no signals on for root
                until(lambda: not ssh_host.running(), "end of what was given up")
            assert (await connection.run("echo on", timeout_s=20)).stdout == b"on\n"

    async def test_a_host_that_prints_without_end_is_hung_up_on(self, ssh_host: Host) -> None:
        """After a bounded number of bytes; the connection can be used on."""
        async with reach("alpha").connected() as connection:
            for sink in ("", " >&2"):
                with pytest.raises(LinkLost, match="more than 16 MB"):
                    await connection.run(f"cat /dev/zero{sink}", timeout_s=40)
            assert (await connection.run("echo on", timeout_s=20)).stdout == b"on\n"

    async def test_a_forged_end_is_none(self, ssh_host: Host) -> None:
        """The sentinels hold a word that is made up for each script."""
        async with reach("alpha").connected() as connection:
            done = await connection.run("printf '\\n@@hsm-end 00 0\\n'; exit 4", timeout_s=20)
        assert (done.code, done.stdout) == (4, b"\n@@hsm-end 00 0\n")

    async def test_more_scripts_at_once_than_channels(self, ssh_host: Host) -> None:
        """Some wait for a channel, and all are run."""
        async with reach("alpha").connected() as connection, asyncio.TaskGroup() as group:
            asked = [group.create_task(connection.run(f"echo {n}", timeout_s=40)) for n in range(20)]
        assert [task.result().stdout for task in asked] == [f"{n}\n".encode() for n in range(20)]


class TestShells:
    """Whatever shell somebody has chosen."""

    @pytest.mark.parametrize("shell", ["fish", "tcsh", "zsh", "dash", "bash"])
    async def test_any_login_shell_will_do(self, ssh_lab: Lab, shell: str) -> None:
        """Also one that is no Bourne shell, with startup files that print."""
        path = shutil.which(shell)
        if path is None:
            pytest.skip(f"NO {shell}: it is not tried as a login shell")
        host = ssh_lab.host("beta", login_shell(path))
        for name in (".cshrc", ".zshenv", ".config/fish/config.fish"):
            (host.home / name).parent.mkdir(parents=True, exist_ok=True)
            (host.home / name).write_text("echo noise from the startup file\n")
        async with reach("beta").connected() as connection:
            done = await connection.run("printf '%s' \"a'b\\\\c!d\"; exit 7", timeout_s=20)
            async with running(connection) as link:
                assert (await link.call("facts")).fields["write"] == ""
        assert (done.code, done.stdout) == (7, b"a'b\\c!d")
        assert ("noise" in done.noise) == (shell in ("fish", "tcsh", "zsh"))

    async def test_without_bash_sh_must_do(self, ssh_lab: Lab, tmp_path: Path) -> None:
        """As a login shell, too."""
        host = ssh_lab.host("beta", Sshd(variables={"PATH": str(programs(tmp_path, without="bash"))}))
        (host.home / ".profile").write_text("export WHO=profile\n")
        async with reach("beta").connected() as connection:
            done = await connection.run('printf %s "$WHO $0"', timeout_s=20)
        assert done.stdout == b"profile sh"

    async def test_a_startup_file_that_exits_is_told_of(self, ssh_host: Host) -> None:
        """With what it printed, made fit for a terminal."""
        (ssh_host.home / ".bash_profile").write_text(LOUD + "exit 5\n")
        error = await refusal(reach("alpha"))
        assert isinstance(error, HostUnfit)
        assert "status 5" in error.message
        assert "\\x1b]0;owned\\x07" in error.message
        assert "\x1b" not in error.message
        assert ".bash_profile" in error.hint


class TestPython:
    """Which interpreter runs the agent."""

    async def test_without_python_there_is_an_error_that_says_so(self, ssh_lab: Lab, tmp_path: Path) -> None:
        """It is of no use to try again."""
        only(ssh_lab.host("beta"), programs(tmp_path))
        error = await refusal(reach("beta"))
        assert isinstance(error, HostUnfit)
        assert error.message.endswith("no Python 3.9 or newer (found: none at all)")
        assert "option `python`" in error.hint
        assert not error.transient

    async def test_one_that_is_too_old_is_named(self, ssh_lab: Lab, tmp_path: Path) -> None:
        """With its version; the next one is tried before."""
        folder = programs(tmp_path)
        (folder / "python3").write_text(
            "#!/bin/sh\necho version 3.6.15; echo executable /usr/bin/python3; exit 1\n"
        )
        (folder / "python3.9").write_text("#!/bin/sh\nexit 127\n")
        for name in ("python3", "python3.9"):
            (folder / name).chmod(0o755)
        only(ssh_lab.host("beta"), folder)
        error = await refusal(reach("beta"))
        assert f"found: {folder}/python3 is 3.6.15; {folder}/python3.9 does not start" in error.message

    async def test_the_first_that_is_recent_enough_is_taken(self, ssh_lab: Lab, tmp_path: Path) -> None:
        """Also when `python3` is not."""
        folder = programs(tmp_path)
        (folder / "python3").write_text("#!/bin/sh\necho version 3.8.0; echo executable /no; exit 1\n")
        (folder / "python3").chmod(0o755)
        (folder / "python3.11").symlink_to("/usr/bin/python3")
        only(ssh_lab.host("beta"), folder)
        async with reach("beta").connected() as connection, running(connection) as link:
            assert connection.python == f"{folder}/python3.11"
            assert (await link.call("facts")).fields["executable"] == f"{folder}/python3.11"

    async def test_one_that_is_named_stands_alone(self, ssh_host: Host) -> None:
        """No other is tried in its place."""
        assert "found: none at all" in (await refusal(reach("alpha", python="/no/python3"))).message
        async with reach("alpha", python="/usr/bin/python3").connected() as connection:
            assert connection.python == "/usr/bin/python3"

    @pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
    async def test_relay_and_agent_run_under_every_python(self, ssh_host: Host, version: str) -> None:
        """From the oldest that is promised to the newest that can be had."""
        python = interpreter(version)
        if python is None:
            pytest.skip(f"NO PYTHON {version} on this machine: the agent was not run under it")
        async with reach("alpha", python=python).connected() as connection:
            async with running(connection) as link:
                assert str((await link.call("facts")).fields["python"]).startswith(f"{version}.")
            program = f"{connection.root}/{agent_program().path}"
            sweep = ssh_host.home / "sweep"
            done = await connection.run(
                f"mkdir -p {sweep}/home && {python} -I {program} {sweep} {sweep}/home --linger 0",
                timeout_s=40,
            )
        assert (done.code, done.stderr) == (0, b"")
        assert b'"opened"' in next((sweep / "home/records").iterdir()).read_bytes()


class TestShipping:
    """The agent's program on a host."""

    async def test_it_is_shipped_once(self, ssh_host: Host) -> None:
        """And lies, whole, under the name of its content."""
        program = agent_program()
        place = ssh_host.home / ".hsm" / program.path
        async with reach("alpha").connected() as connection:
            async with running(connection):
                first = place.stat()
            async with running(connection):
                pass
        assert hashlib.sha256(place.read_bytes()).hexdigest() == program.digest == place.parent.name
        async with reach("alpha").connected() as connection, running(connection):
            pass
        assert place.stat().st_mtime_ns == first.st_mtime_ns
        assert [path.name for path in place.parent.iterdir()] == [place.name]

    async def test_one_that_is_damaged_is_shipped_again(self, ssh_host: Host) -> None:
        """A relay that does not start is the sign."""
        place = ssh_host.home / ".hsm" / agent_program().path
        place.parent.mkdir(parents=True)
        place.write_bytes(agent_program().data[:5000])
        async with reach("alpha").connected() as connection, running(connection) as link:
            assert (await link.call("facts")).fields["write"] == ""
        assert place.read_bytes() == agent_program().data

    async def test_where_it_cannot_be_stored_there_is_an_error(self, ssh_host: Host) -> None:
        """That names the directory and the reason."""
        (ssh_host.home / ".hsm").mkdir()
        (ssh_host.home / ".hsm/agents").touch()
        async with reach("alpha").connected() as connection:
            with pytest.raises(HostUnfit, match=r"cannot be stored in .*NotADirectoryError"):
                await connection.relay().__aenter__()

    async def test_the_directory_may_be_elsewhere(self, ssh_host: Host, tmp_path: Path) -> None:
        """Named by an absolute path, or from the user's home; where it cannot be made, an error says so."""
        for root, there in (
            ("~/my work/hsm", ssh_host.home / "my work/hsm"),
            (f"{tmp_path}/x'y", tmp_path / "x'y"),
        ):
            async with reach("alpha", root=root).connected() as connection, running(connection):
                assert connection.root == str(there)
                assert (there / agent_program().path).is_file()
                assert there.stat().st_mode & 0o777 == 0o700
        error = await refusal(reach("alpha", root="/proc/hsm"))
        assert isinstance(error, HostUnfit)
        assert "/proc/hsm cannot be written" in error.message


class TestKeys:
    """Which hosts are trusted, and which logins are."""

    async def test_an_unknown_key_is_refused_with_the_command_that_accepts_it(
        self, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """The fingerprint is OpenSSH's, and after the command the host is known."""
        ssh_lab.known_hosts.write_text("")
        error = await refusal(reach("alpha"))
        assert isinstance(error, HostKeyRefused)
        assert (
            f"[127.0.0.1]:{ssh_host.port} is not known: ssh-ed25519 {fingerprint(ssh_host)}" in error.message
        )
        assert ssh_lab.known_hosts.read_text() == ""
        perform("sh", "-c", error.hint.partition(" by: ")[2])
        async with reach("alpha").connected():
            pass

    async def test_the_command_makes_a_file_where_there_is_none(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """As for who has never used ssh."""
        config, none = ssh_lab.ssh_config.read_text(), f"{ssh_lab.folder}/new one/known_hosts"
        ssh_lab.ssh_config.write_text(config.replace(str(ssh_lab.known_hosts), f'"{none}"'))
        error = await refusal(reach("alpha"))
        perform("sh", "-c", error.hint.partition(" by: ")[2])
        async with reach("alpha").connected():
            pass

    async def test_a_changed_key_is_refused_with_both_fingerprints(
        self, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """And the commands that forget the old one and accept the new one work."""
        before = fingerprint(ssh_host)
        ssh_host.rekey()
        error = await refusal(reach("alpha"))
        assert isinstance(error, HostKeyRefused)
        assert f"it is ssh-ed25519 {fingerprint(ssh_host)}, known is ssh-ed25519 {before}" in error.message
        assert not error.transient
        perform("sh", "-c", error.hint.partition("the same: ")[2])
        async with reach("alpha").connected():
            pass

    async def test_a_known_key_is_told_once_wherever_it_stands(
        self, ssh_lab: Lab, ssh_host: Host, tmp_path: Path
    ) -> None:
        """Under its name, its address and a pattern, hashed, and in another file."""
        before, known = fingerprint(ssh_host), ssh_lab.known_hosts
        lines = known.read_text() + f"[127.0.0.1]:*,[alpha]:{ssh_host.port} {ssh_host.public_key} a comment\n"
        known.write_text(lines * 2)
        perform("ssh-keygen", "-H", "-f", str(known))
        known.write_text(known.read_text() + lines)
        (tmp_path / "more").write_text(lines)
        config = ssh_lab.ssh_config.read_text()
        ssh_lab.ssh_config.write_text(config.replace(str(known), f"{known} {tmp_path}/more"))
        ssh_host.rekey()
        error = await refusal(reach("alpha"))
        assert error.message.count(before) == 1
        assert error.message.endswith(f"known is ssh-ed25519 {before}")

    async def test_a_revoked_key_is_refused(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """Though another line trusts it."""
        with ssh_lab.known_hosts.open("a") as known:
            known.write(f"@revoked * {ssh_host.public_key}\n")
        error = await refusal(reach("alpha"))
        assert isinstance(error, HostKeyRefused)
        assert "is revoked" in error.message

    async def test_hashed_names_are_known(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """As OpenSSH writes them by default on many systems."""
        perform("ssh-keygen", "-H", "-f", str(ssh_lab.known_hosts))
        assert "127.0.0.1" not in ssh_lab.known_hosts.read_text()
        async with reach("alpha").connected():
            pass

    @pytest.mark.parametrize("word", ["StrictHostKeyChecking no", "StrictHostKeyChecking accept-new"])
    async def test_the_configuration_cannot_turn_checking_off(
        self, ssh_lab: Lab, ssh_host: Host, word: str
    ) -> None:
        """Whatever it says of strictness."""
        ssh_lab.known_hosts.write_text("")
        ssh_lab.ssh_config.write_text(f"Host *\n  {word}\n{ssh_lab.ssh_config.read_text()}")
        assert isinstance(await refusal(reach("alpha")), HostKeyRefused)

    async def test_a_configuration_without_known_hosts_is_refused(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """For nothing could be checked then."""
        ssh_lab.ssh_config.write_text(f"UserKnownHostsFile none\n{ssh_lab.ssh_config.read_text()}")
        error = await refusal(reach("alpha"))
        assert isinstance(error, SshConfigRefused)
        assert "keys are always checked" in error.hint

    async def test_a_refused_login_is_tried_once(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """A host that bans after some failures sees one, however often the lane opens the source."""
        config = ssh_lab.ssh_config.read_text().replace(str(ssh_lab.user_key), str(ssh_lab.refused_key))
        ssh_lab.ssh_config.write_text(config)
        way = reach("alpha")
        errors = [await refusal(way) for _ in range(3)]
        assert all(isinstance(error, LoginRefused) and not error.transient for error in errors)
        assert "transport: openssh" in errors[0].hint
        assert ssh_host.log.read_text().count("Connection from") == 1
        assert ssh_host.log.read_text().count("Failed publickey") <= 1

    async def test_nothing_is_forwarded(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """Neither the agent nor a display, though the configuration says so."""
        ssh_lab.ssh_config.write_text(f"ForwardAgent yes\nForwardX11 yes\n{ssh_lab.ssh_config.read_text()}")
        with agent_with(ssh_lab.user_key):
            async with reach("alpha").connected() as connection:
                done = await connection.run('printf %s "$SSH_AUTH_SOCK$DISPLAY"', timeout_s=20)
        assert done.stdout == b""

    async def test_the_agent_of_ssh_can_log_in(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """With a key whose file is not there."""
        config = ssh_lab.ssh_config.read_text().replace("  IdentitiesOnly yes\n", "")
        with agent_with(ssh_lab.user_key):
            ssh_lab.ssh_config.write_text(config.replace(f"  IdentityFile {ssh_lab.user_key}\n", ""))
            async with reach("alpha").connected():
                pass

    async def test_key_files_that_are_not_there_are_passed_over(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """As OpenSSH does: another file may open the door, or the agent."""
        config = f"IdentityFile {ssh_lab.folder}/none\n{ssh_lab.ssh_config.read_text()}"
        ssh_lab.ssh_config.write_text(config)
        async with reach("alpha").connected():
            pass
        ssh_lab.ssh_config.write_text(config.replace(f"IdentityFile {ssh_lab.user_key}", "Compression no"))
        assert isinstance(await refusal(reach("alpha")), LoginRefused)
        with agent_with(ssh_lab.user_key):
            ssh_lab.ssh_config.write_text(ssh_lab.ssh_config.read_text().replace("IdentitiesOnly yes", ""))
            async with reach("alpha").connected():
                pass

    @pytest.mark.parametrize("only", ["yes", "no"])
    async def test_a_key_with_a_passphrase_is_used_through_the_agent(
        self, ssh_lab: Lab, ssh_host: Host, only: str
    ) -> None:
        """Nobody is asked for the passphrase; without the agent the login is refused."""
        config = ssh_lab.ssh_config.read_text().replace("IdentitiesOnly yes", f"IdentitiesOnly {only}")
        ssh_lab.ssh_config.write_text(config)
        with agent_with(ssh_lab.user_key):
            perform("ssh-keygen", "-q", "-p", "-N", "secret", "-f", str(ssh_lab.user_key))
            async with reach("alpha").connected():
                pass
        error = await refusal(reach("alpha"))
        assert isinstance(error, LoginRefused)
        assert "ssh-agent" in error.hint

    async def test_what_a_host_says_before_it_refuses_is_told(self, ssh_lab: Lab, tmp_path: Path) -> None:
        """It may be the reason; it is made fit for a terminal."""
        (tmp_path / "banner").write_text("accounts are closed\x1b[2J\nuntil Monday\n")
        ssh_lab.host("closed", Sshd(extra=(f"Banner {tmp_path}/banner", "DenyUsers *")))
        error = await refusal(reach("closed"))
        assert isinstance(error, LoginRefused)
        assert "it says: accounts are closed\\x1b[2J | until Monday" in error.message

    async def test_a_certificate_of_a_known_authority_is_trusted(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """Though the host's own key stands in no file; that of another authority is not."""
        ssh_host.stop()
        ours, foreign = make_key(ssh_lab.folder / "ours"), make_key(ssh_lab.folder / "foreign")
        for authority, is_trusted in ((ours, True), (foreign, False)):
            sign(authority, ssh_host)
            public = " ".join(ours.with_suffix(".pub").read_text().split()[:2])
            ssh_lab.known_hosts.write_text(f"@cert-authority * {public}\n")
            ssh_host.start()
            if is_trusted:
                async with reach("alpha").connected():
                    pass
            else:
                assert isinstance(await refusal(reach("alpha")), HostKeyRefused)
            ssh_host.stop()

    async def test_a_host_may_be_known_by_an_alias(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """HostKeyAlias: the key is looked up under another name, and an unknown one is told under that."""
        ssh_lab.known_hosts.write_text(f"the-alias {ssh_host.public_key}\n")
        ssh_lab.ssh_config.write_text(f"HostKeyAlias the-alias\n{ssh_lab.ssh_config.read_text()}")
        async with reach("alpha").connected():
            pass
        ssh_host.rekey()
        error = await refusal(reach("alpha"))
        assert "the key of the-alias has changed" in error.message
        perform("sh", "-c", error.hint.partition("the same: ")[2])
        assert ssh_lab.ssh("alpha", "echo on").stdout == "on\n", "OpenSSH finds it there, too"
        async with reach("alpha").connected():
            pass


class TestConfiguration:
    """What ssh_config says of a host."""

    async def test_a_jump_host_leads_on(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """ProxyJump, through two of them, each with its own entry."""
        beta, gamma = ssh_lab.host("beta"), ssh_lab.host("gamma")
        ssh_lab.name("hidden", gamma, gamma.port, "ProxyJump alpha,beta")
        async with reach("hidden").connected() as connection:
            done = await connection.run("printf %s $HSM_LAB_HOST", timeout_s=20)
        assert done.stdout == b"gamma"
        assert all("Accepted publickey" in host.log.read_text() for host in (ssh_host, beta, gamma))

    async def test_the_key_of_a_jump_host_is_checked_too(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """The error names the jump host's."""
        beta = ssh_lab.host("beta")
        ssh_lab.name("hidden", beta, beta.port, "ProxyJump alpha")
        ssh_host.rekey()
        error = await refusal(reach("hidden"))
        assert isinstance(error, HostKeyRefused)
        assert f"[127.0.0.1]:{ssh_host.port} has changed" in error.message

    async def test_a_circle_of_jump_hosts_ends(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """As an error of the configuration."""
        ssh_lab.name("one", ssh_host, ssh_host.port, "ProxyJump two")
        ssh_lab.name("two", ssh_host, ssh_host.port, "ProxyJump one")
        error = await refusal(reach("one"))
        assert isinstance(error, SshConfigRefused)
        assert "more than 8 jump hosts" in error.message

    async def test_a_proxy_command_runs_only_where_it_is_allowed(
        self, ssh_lab: Lab, ssh_host: Host, tmp_path: Path
    ) -> None:
        """For it runs a program on this machine."""
        command = (
            f"ProxyCommand sh -c 'touch {tmp_path}/ran; exec ssh -F {ssh_lab.ssh_config} -W %h:%p alpha'"
        )
        ssh_lab.name("behind", ssh_host, ssh_host.port, command)
        error = await refusal(reach("behind"))
        assert isinstance(error, SshConfigRefused)
        assert "allow_proxy_command: true" in error.hint
        assert not (tmp_path / "ran").exists()
        async with reach("behind", allow_proxy_command=True).connected():
            assert (tmp_path / "ran").exists()

    async def test_a_quick_cipher_comes_first_unless_another_is_named(
        self, ssh_lab: Lab, ssh_host: Host
    ) -> None:
        """The configuration is stronger."""
        async with reach("alpha").connected() as connection:
            assert cipher(connection) == "aes128-gcm@openssh.com"
        ssh_lab.ssh_config.write_text(f"Ciphers aes256-ctr\n{ssh_lab.ssh_config.read_text()}")
        async with reach("alpha").connected() as connection:
            assert cipher(connection) == "aes256-ctr"

    async def test_files_may_include_others(self, ssh_lab: Lab, ssh_host: Host, tmp_path: Path) -> None:
        """And the file may be named by an option where no variable names one."""
        outer = tmp_path / "outer_config"
        outer.write_text(f"Include {ssh_lab.ssh_config}\n")
        os.environ.pop("HSM_SSH_CONFIG")
        async with reach("alpha", ssh_config=str(outer)).connected():
            pass

    async def test_files_that_include_each_other_are_told_of(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """They are no defect of HSM."""
        ssh_lab.ssh_config.write_text(f"Include {ssh_lab.ssh_config}\n{ssh_lab.ssh_config.read_text()}")
        error = await refusal(reach("alpha"))
        assert isinstance(error, SshConfigRefused)
        assert "include each other" in error.message

    async def test_one_that_cannot_be_read_is_told_of(self, ssh_lab: Lab, ssh_host: Host) -> None:
        """With the line."""
        ssh_lab.ssh_config.write_text("Port many\n" + ssh_lab.ssh_config.read_text())
        error = await refusal(reach("alpha"))
        assert isinstance(error, SshConfigRefused)
        assert "line 1" in error.message
        ssh_lab.ssh_config.unlink()
        assert "No such file" in (await refusal(reach("alpha"))).message


class TestLostLinks:
    """Hosts that cannot be reached, and connections that end."""

    async def test_a_refused_port_is_worth_another_try(self, ssh_host: Host) -> None:
        """It says what it was."""
        ssh_host.stop()
        error = await refusal(reach("alpha"))
        assert isinstance(error, HostUnreachable)
        assert error.transient
        assert "alpha refuses connections" in error.message

    async def test_no_answer_is_waited_for_only_so_long(
        self, ssh_lab: Lab, ssh_host: Host, deaf_port: int
    ) -> None:
        """Neither to a dial, nor to a greeting on a line that was taken."""
        ssh_lab.name("deaf", ssh_host, deaf_port)
        error = await refusal(quick_reach("deaf", connect_s=0.5))
        assert isinstance(error, HostUnreachable)
        assert "no answer from deaf within 0.5 s" in error.message
        ssh_host.freeze()
        assert "no answer from alpha" in (await refusal(quick_reach("alpha", connect_s=0.5))).message
        ssh_host.thaw()

    async def test_the_patience_of_the_configuration_counts(
        self, ssh_lab: Lab, ssh_host: Host, deaf_port: int, wire: Callable[[Host], Wire]
    ) -> None:
        """ConnectTimeout, and a ServerAliveInterval that is shorter than ours; a longer one does not."""
        ssh_lab.name("deaf", ssh_host, deaf_port, "ConnectTimeout 1")
        assert "no answer from deaf within 1 s" in (await refusal(reach("deaf"))).message
        line = wire(ssh_host)
        for name, alive_s in (("soon", 1), ("late", 300)):
            ssh_lab.name(name, ssh_host, line.port, f"ServerAliveInterval {alive_s}")
            async with quick_reach(name, keepalive_s=2.0).connected() as connection:
                assert isinstance(connection, SshConnection)
                assert connection._made._keepalive_interval == min(alive_s, 2.0)

    async def test_an_unknown_name_is_worth_another_try(self, ssh_lab: Lab) -> None:
        """For a laptop may just have no network."""
        error = await refusal(reach("nowhere.invalid"))
        assert isinstance(error, HostUnreachable)
        assert "there is no host nowhere.invalid" in error.message

    async def test_dials_that_sshd_drops_are_worth_another_try(self, ssh_lab: Lab) -> None:
        """MaxStartups: it closes without a word."""
        ssh_lab.host("busy", Sshd(max_startups="1:100:1"))
        async with asyncio.TaskGroup() as group:
            tries = [group.create_task(_dropped("busy")) for _ in range(12)]
        dropped = [error for error in (task.result() for task in tries) if error is not None]
        assert dropped
        assert all(isinstance(error, HostUnreachable) for error in dropped)

    async def test_a_host_of_two_channels_is_enough_for_two_relays(self, ssh_lab: Lab) -> None:
        """MaxSessions 2: a channel that is not granted at once is asked for again, and the rest go on."""
        ssh_lab.host("narrow", Sshd(max_sessions=2))
        async with reach("narrow").connected() as connection:
            async with running(connection) as one, running(connection) as other:
                with pytest.raises(LinkLost, match="grants no more channels") as caught:
                    await connection.run("true", timeout_s=sum(CHANNEL_PAUSES_S) * 2)
                assert "MaxSessions" in caught.value.hint
                await one.call("facts")
                await other.call("facts")
            assert (await connection.run("echo on", timeout_s=20)).stdout == b"on\n"

    async def test_a_channel_that_is_not_granted_yet_is_asked_for_again(self, ssh_lab: Lab) -> None:
        """It comes as soon as another is closed."""
        host = ssh_lab.host("narrow", Sshd(max_sessions=1))
        async with reach("narrow").connected() as connection, asyncio.TaskGroup() as group:
            async with running(connection) as link:
                await link.call("facts")
                asking = group.create_task(connection.run("echo on", timeout_s=20))
                await asyncio.to_thread(
                    until, lambda: "no more sessions" in host.log.read_text(), "refusal of a channel"
                )
            assert (await asking).stdout == b"on\n"

    @pytest.mark.parametrize("how", ["restart", "kill_sessions"])
    async def test_a_connection_that_the_host_ends_is_noticed_at_once(self, ssh_host: Host, how: str) -> None:
        """By a script, whose outcome is then not known, and by a relay; the next connection works."""
        way = reach("alpha")
        with pytest.raises(ExceptionGroup) as lost:
            await _in_use(way, getattr(ssh_host, how))
        assert lost.value.subgroup(LinkLost) is not None
        async with way.connected():
            pass

    async def test_a_half_open_link_is_noticed(self, ssh_host: Host, wire: Callable[[Host], Wire]) -> None:
        """Within four keepalives: 40 s as they are."""
        assert KEEPALIVE_S * (KEEPALIVE_COUNT + 1) <= 45
        line = wire(ssh_host)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(ExceptionGroup):
            await _in_use(quick_reach("alpha-wire", keepalive_s=0.5), line.hold)
        assert loop.time() - begun < 0.5 * (KEEPALIVE_COUNT + 1) + 12  # and the time it takes to let go

    async def test_a_pulled_cable_is_noticed(self, ssh_lab: Lab, cable: Cable) -> None:
        """As every packet is lost, not even a reset comes."""
        ssh_lab.host("remote", Sshd(netns=cable.netns, address=cable.address))
        async with quick_reach("remote", keepalive_s=0.5).connected() as connection:
            cable.drop()
            with pytest.raises(LinkLost):
                await connection.run("true", timeout_s=30)
        cable.heal()
        async with quick_reach("remote").connected():
            pass

    async def test_a_damaged_byte_ends_the_connection(
        self, ssh_host: Host, wire: Callable[[Host], Wire]
    ) -> None:
        """And is never taken for data."""
        line = wire(ssh_host)
        async with quick_reach("alpha-wire").connected() as connection:
            line.to_client.flip_at = line.to_client.passed + 100_000
            with pytest.raises(LinkLost):
                await connection.run("head -c 1000000 /dev/zero", timeout_s=30)


# The hosts


def login_shell(path: str) -> Sshd:
    """Return a set-up in which commands are handed to this shell, as those of a user who has chosen it."""
    return Sshd(extra=(f'ForceCommand exec {path} -c "$SSH_ORIGINAL_COMMAND"',))


def programs(folder: Path, without: str = "python") -> Path:
    """Return a folder of the usual programs, less those whose names begin so."""
    folder = folder / "programs"
    folder.mkdir()
    for name in ("mkdir", "cat", "env", "sh", "bash", *(["python3"] if without != "python" else [])):
        if not name.startswith(without):
            (folder / name).symlink_to(f"/usr/bin/{name}")
    return folder


def only(host: Host, folder: Path) -> None:
    """Let logins find the programs of one folder, and no others."""
    (host.home / ".bash_profile").write_text(f"PATH={folder}\n")


def interpreter(version: str) -> str | None:
    """Find a real interpreter of a version: in a pyenv, or on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = sorted(map(str, pyenv.glob(f"versions/{version}.*/bin/python")))
    return found[-1] if found else shutil.which(f"python{version}")


def fingerprint(host: Host) -> str:
    """Return the fingerprint of a host's key as OpenSSH tells it."""
    found = re.search(r"SHA256:\S+", perform("ssh-keygen", "-lf", str(host.key)))
    assert found
    return found[0]


def cipher(connection: Connection) -> str:
    """Return what a connection is encrypted with."""
    assert isinstance(connection, SshConnection)
    return str(connection._made.get_extra_info("send_cipher"))


def sign(authority: Path, host: Host) -> None:
    """Have an authority sign a host's key, and the host show that."""
    perform("ssh-keygen", "-q", "-s", str(authority), "-h", "-I", "host", f"{host.key}.pub")
    host.setup = Sshd(extra=(f"HostCertificate {host.key}-cert.pub",))


def perform(*argv: str) -> str:
    """Run a command to its good end, and return what it printed."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@contextmanager
def agent_with(key: Path) -> Iterator[None]:
    """Have an ssh-agent that holds a key, and variables that name it."""
    variables = dict(re.findall(r"(SSH_\w+)=([^;]+);", perform("ssh-agent", "-s")))
    os.environ.update(variables)
    try:
        perform("ssh-add", "-q", str(key))
        yield
    finally:
        perform("ssh-agent", "-k")
        for name in variables:
            os.environ.pop(name, None)


async def _in_use(way: Reach, fault: Callable[[], None]) -> None:
    """Use a connection, by a relay and by a script that does not end, and let something happen meanwhile."""
    async with way.connected() as connection, connection.relay() as link, asyncio.TaskGroup() as group:
        group.create_task(link.run())
        group.create_task(connection.run("sleep 300", timeout_s=40))
        await link.call("facts")
        fault()


async def _dropped(name: str) -> Exception | None:
    try:
        async with quick_reach(name).connected():
            return None
    except HostUnreachable as error:
        return error
