"""Real sshd on loopback: each host has a port, a key and a home of its own, and may be hurt.

Logins are those of whoever runs the tests, with another HOME, so that nothing of that user's is read or
written. What a host runs is known by a variable in its environment.
"""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.lab import processes
from tests.lab.processes import until

SSHD = "/usr/sbin/sshd"
HERE = "127.0.0.1"
TRIES = 5
BOOT_ID = "/proc/sys/kernel/random/boot_id"


def need_sshd() -> None:
    """Skip, and say so, where there is no sshd."""
    if not Path(SSHD).exists() or shutil.which("ssh") is None or not sys.platform.startswith("linux"):
        pytest.skip("NO sshd: install openssh-server and openssh-client to try hosts")


def need_boots() -> None:
    """Skip, and say so, where no host can have a boot id of its own."""
    argv = ["unshare", "--mount", "mount", "--bind", "/etc/hostname", BOOT_ID]
    if os.geteuid() != 0 or subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip("NO MOUNT NAMESPACES: root is needed to give a host another boot id")


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HERE, 0))
        return int(probe.getsockname()[1])


def make_key(path: Path) -> Path:
    """Make a pair of keys without a passphrase."""
    argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", path.name, "-f", str(path)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sshd:
    """How a host's sshd is set up; the defaults are those of OpenSSH."""

    max_sessions: int = 10
    max_startups: str = "10:30:100"
    variables: Mapping[str, str] = field(default_factory=dict)
    extra: tuple[str, ...] = ()
    netns: str = ""
    address: str = HERE
    has_boots: bool = False
    """Whether it has a boot id of its own, another after each crash; needs root."""


class Host:
    """One host: an sshd, its sessions, and what they started."""

    def __init__(self, lab: "Lab", name: str, setup: Sshd) -> None:
        self.name = name
        self.setup = setup
        self.folder = lab.folder / name
        self.home = self.folder / "home"
        """The HOME of those who log in; it has no rc files until a test writes them."""
        self.port = 0
        self.lab = lab
        self._listener: subprocess.Popen[bytes] | None = None
        self.home.mkdir(parents=True)
        self.key = make_key(self.folder / "host_key")

    @property
    def log(self) -> Path:
        """What sshd says."""
        return self.folder / "sshd.log"

    @property
    def public_key(self) -> str:
        """The host's key as it stands in known_hosts: type and base64."""
        return " ".join(self.key.with_suffix(".pub").read_text().split()[:2])

    @property
    def _mark(self) -> str:
        return f"HSM_LAB_HOST_DIR={self.folder}"

    def start(self) -> None:
        """Start sshd, on the port that the host had before, else on a free one."""
        for _ in range(TRIES):
            port = self.port or free_port()
            if self._listens(port):
                self.port = port
                return
        raise AssertionError(f"no sshd: {self.log.read_text()[-2000:]}")

    def _listens(self, port: int) -> bool:
        config = self.folder / "sshd_config"
        config.write_text(self._config(port))
        before = self.log.stat().st_size if self.log.exists() else 0
        argv = [SSHD, "-D", "-e", "-f", str(config)]
        if self.setup.netns:
            argv = ["ip", "netns", "exec", self.setup.netns, *argv]
        if self.setup.has_boots:
            boot = self.folder / "boot_id"
            boot.write_text(f"{uuid.uuid4()}\n")
            argv = [
                "unshare",
                "--mount",
                "sh",
                "-c",
                f'mount --bind {boot} {BOOT_ID} && exec "$@"',
                "sh",
                *argv,
            ]
        with self.log.open("ab") as log:
            listener = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
                start_new_session=True,
            )
        said = b""

        def is_settled() -> bool:
            nonlocal said
            said = self.log.read_bytes()[before:]
            return b"Server listening" in said or listener.poll() is not None

        until(is_settled, "word from sshd")
        if b"Server listening" in said:
            self._listener = listener
            return True
        return False

    def _config(self, port: int) -> str:
        setup = self.setup
        variables = {
            "HOME": str(self.home),
            "HSM_LAB_HOST": self.name,
            "HSM_LAB_HOST_DIR": str(self.folder),
            **setup.variables,
        }
        said = " ".join(f'"{name}={value}"' for name, value in variables.items())
        lines = [
            *setup.extra,  # what is said first counts
            f"Port {port}",
            f"ListenAddress {setup.address}",
            f"HostKey {self.key}",
            "PidFile none",
            f"AuthorizedKeysFile {self.lab.folder}/user.pub",
            "StrictModes no",  # the folders of tests lie under /tmp
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",  # no limits, no motd
            "UseDNS no",
            "PermitRootLogin prohibit-password",
            "PermitUserRC no",
            "PrintMotd no",
            "PrintLastLog no",
            f"SetEnv {said}",  # sshd honours one such line only
            "Subsystem sftp internal-sftp",
            f"MaxSessions {setup.max_sessions}",
            f"MaxStartups {setup.max_startups}",
            "LoginGraceTime 20",
            "LogLevel VERBOSE",
        ]
        return "\n".join(lines) + "\n"

    # What runs there

    def sessions(self) -> list[int]:
        """Return the sshd processes of connections, not what they started."""
        if self._listener is None:
            return []
        below = processes.descendants(self._listener.pid)
        return [pid for pid in below if processes.name_of(pid).startswith("sshd")]

    def running(self) -> list[int]:
        """Return what logins have started and what still lives of it, also what has left its session."""
        return [pid for pid in processes.with_variable(self._mark) if processes.is_alive(pid)]

    # What may happen to it

    def kill_sessions(self) -> None:
        """Cut every connection at the host's end; what was started goes on, and new logins work."""
        pids = self.sessions()
        processes.signal_all(pids, signal.SIGKILL)
        until(lambda: not any(map(processes.is_alive, pids)), "end of the sessions")

    def stop(self) -> None:
        """End sshd and its connections, as a restart of it does; what was started goes on."""
        if self._listener is None:
            return
        sessions = self.sessions()
        self._listener.kill()
        self._listener.wait()
        processes.signal_all(sessions, signal.SIGKILL)
        self._listener = None

    def restart(self) -> None:
        """Restart sshd: connections are lost, what was started goes on."""
        self.stop()
        self.start()

    def crash(self) -> None:
        """End everything on the host at once, as when its power fails."""
        self.stop()
        while pids := self.running():
            processes.signal_all(pids, signal.SIGKILL)

    def freeze(self) -> None:
        """Stop sshd and its sessions: connections stay open, and nothing answers."""
        assert self._listener is not None
        processes.signal_all([self._listener.pid, *self.sessions()], signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a frozen host go on."""
        assert self._listener is not None
        processes.signal_all([self._listener.pid, *self.sessions()], signal.SIGCONT)

    def rekey(self) -> None:
        """Give the host another key, which nobody knows, and restart it."""
        self.key.unlink()
        self.key.with_suffix(".pub").unlink()
        make_key(self.key)
        self.restart()


class Lab:
    """A folder with hosts, the keys that open them, and a client's configuration that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.user_key = make_key(folder / "user")
        self.refused_key = make_key(folder / "refused")
        """A key that no host accepts."""
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.touch()
        self.ssh_config = folder / "ssh_config"
        self.hosts: list[Host] = []
        self._aliases: list[str] = []
        self._write()

    def host(self, name: str, setup: Sshd | None = None) -> Host:
        """Start a host that the client knows by this name."""
        host = Host(self, name, setup or Sshd())
        host.start()
        self.hosts.append(host)
        self.name(name, host, host.port)
        return host

    def name(self, name: str, host: Host, port: int, *options: str) -> None:
        """Give a port that leads to a host a name in the client's configuration."""
        lines = [f"  HostName {host.setup.address}", f"  Port {port}", *(f"  {option}" for option in options)]
        self._aliases.append("\n".join([f"Host {name}", *lines]))
        with self.known_hosts.open("a") as known:
            known.write(f"{self.known_as(host, port)} {host.public_key}\n")
        self._write()

    @staticmethod
    def known_as(host: Host, port: int) -> str:
        """Return what known_hosts calls a port of a host."""
        return host.setup.address if port == 22 else f"[{host.setup.address}]:{port}"

    def _write(self) -> None:
        common = [
            "Host *",
            f"  User {getpass.getuser()}",
            f"  IdentityFile {self.user_key}",
            "  IdentitiesOnly yes",
            f"  UserKnownHostsFile {self.known_hosts}",
            "  GlobalKnownHostsFile /dev/null",
            "  StrictHostKeyChecking yes",
            "  BatchMode yes",
        ]
        self.ssh_config.write_text("\n".join([*self._aliases, *common]) + "\n")

    def ssh(self, name: str, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's own client."""
        argv = ["ssh", "-F", str(self.ssh_config), name, *words]
        return subprocess.run(argv, check=False, capture_output=True, text=True, input=text, timeout=30)

    def end(self) -> None:
        """End every host and all that it started."""
        for host in self.hosts:
            host.crash()


def prepare() -> None:
    """Make the folder that sshd wants for root."""
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
