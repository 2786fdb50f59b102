"""The watch where scientists sit: in tmux, small and large, resized meanwhile, and over ssh."""

import os
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, Running, until

pytestmark = pytest.mark.integration

LONG = "x" * 300
"""A parameter that fits no terminal."""


class Tmux:
    """A tmux server of its own with one window."""

    def __init__(self, folder: Path, columns: int, rows: int) -> None:
        self._socket = str(folder / "tmux.sock")
        self._call("new-session", "-d", "-x", str(columns), "-y", str(rows), "sh")
        self._call("set", "-g", "status", "off")
        self.resize(columns, rows)

    def _call(self, *words: str) -> str:
        argv = ["tmux", "-S", self._socket, "-f", "/dev/null", "-u", *words]
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "xterm-256color"}
        return subprocess.run(argv, check=True, capture_output=True, text=True, env=environment).stdout

    def resize(self, columns: int, rows: int) -> None:
        """Give the window another size."""
        self._call("resize-window", "-x", str(columns), "-y", str(rows))

    def type(self, text: str) -> None:
        """Type text and Enter."""
        self._call("send-keys", "-l", text)
        self._call("send-keys", "Enter")

    def press(self, key: str) -> None:
        """Press one key."""
        self._call("send-keys", key)

    def rows(self, *options: str) -> list[str]:
        """Return what stands in the window."""
        return self._call("capture-pane", "-p", *options).split("\n")[:-1]

    def until(self, wanted: str) -> list[str]:
        """Wait until something stands there; return all of it."""
        until(lambda: wanted in "\n".join(self.rows()), wanted)
        return self.rows()

    def end(self) -> None:
        """End the server."""
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    """Return a window of 80 x 24."""
    if shutil.which("tmux") is None:
        pytest.skip("NO tmux: the watch is not tried in it")
    found = Tmux(tmp_path, 80, 24)
    yield found
    found.end()


@pytest.fixture
def running(tmp_path: Path, hsm_command: Path) -> Iterator[tuple[Project, Running]]:
    """Return a project whose sweep runs until the file `hold` goes."""
    project = Project(root=tmp_path / "project", hsm=hsm_command)
    project.root.mkdir()
    (project.root / "hsm.yaml").touch()
    project.sweep("heat", [LONG, "b", "c"], extra="sources: [local:2]\n")
    project.hold.touch()
    process = project.start("sweep", "run", "heat.yaml", "-q")
    until(lambda: len(project.begun()) == 2, "two programs")
    yield project, process
    project.hold.unlink()
    process.end()


def test_the_watch_fills_a_window_of_tmux_at_every_size(tmux: Tmux, running: tuple[Project, Running]) -> None:
    """To the last sign of each line, after each resize; and leaves the window as it was."""
    project, _ = running
    tmux.type(f"cd {shlex.quote(str(project.root))}; clear; echo before")
    tmux.until("before")
    tmux.type(f"{project.hsm} monitor watch")
    until(partial(_is_filled, tmux, 80, 24), "a picture of 80 x 24")
    _leave(tmux)
    history = "\n".join(tmux.rows("-S", "-"))
    assert "\nbefore\n" in f"\n{history}", "what was there before the watch is there again"
    assert "q leave" not in history, "and nothing of it has gone into the history"
    tmux.type(f"{project.hsm} monitor watch")
    for columns, rows in ((200, 50), (60, 16), (120, 30)):
        tmux.resize(columns, rows)
        until(partial(_is_filled, tmux, columns, rows), f"a picture of {columns} x {rows}")
    _leave(tmux)
    tmux.type("stty -a")
    tmux.until(" echo ")


def _leave(tmux: Tmux) -> None:
    tmux.press("q")
    until(lambda: "q leave" not in "\n".join(tmux.rows()), "the end of the watch")


def _is_filled(tmux: Tmux, columns: int, rows: int) -> bool:
    shown = tmux.rows()
    (task,) = [row for row in shown if "task_0001  running" in row] or [""]
    return (
        len(shown) == rows
        and shown[0].startswith("heat-")
        and shown[-1].startswith("q leave")
        and len(task) == columns
        and task.endswith("…")
    )


@pytest.fixture
def port(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Return the port of a server for ssh on this machine, and the key that opens it."""
    server = "/usr/sbin/sshd"
    if not Path(server).exists() or shutil.which("ssh") is None:
        pytest.skip("NO sshd: the watch is not tried over ssh")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    for name in ("host", "user"):
        argv = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)]
        subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = int(free.getsockname()[1])
    config = tmp_path / "sshd_config"
    config.write_text(
        f"Port {number}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nStrictModes no\nUsePAM no\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nPermitRootLogin yes\nPidFile none\n"
    )
    process = subprocess.Popen([server, "-D", "-e", "-f", str(config)], stderr=subprocess.DEVNULL)
    until(lambda: _answers(number), "a server for ssh")
    yield number, tmp_path / "user"
    process.terminate()
    process.wait(20)


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def test_the_watch_goes_over_ssh_and_ends_with_the_link(
    tmux: Tmux, running: tuple[Project, Running], port: tuple[int, Path]
) -> None:
    """Keys and sizes come through; when the connection is cut nothing stays behind on the other side."""
    project, _ = running
    number, key = port
    mark = project.root / "watch.pid"
    there = f"cd {shlex.quote(str(project.root))}; echo $$ > {mark}; exec {project.hsm} monitor watch"
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR -o BatchMode=yes"
    tmux.type(f"ssh -tt -p {number} -i {key} {options} 127.0.0.1 {shlex.quote(there)}")
    tmux.until("q leave")
    tmux.resize(100, 30)
    until(lambda: _is_filled(tmux, 100, 30), "the larger picture")
    tmux.press("?")
    tmux.until("leave; the sweep goes on")
    pid = int(mark.read_text())
    assert Path(f"/proc/{pid}").exists()
    tmux.end()
    until(lambda: not Path(f"/proc/{pid}").exists(), "the end of the watch")
    assert project.status()["status"] == "running"
