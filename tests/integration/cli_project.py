"""A project in a folder of its own, and `hsm` run in it as a user runs it: process, streams, signals."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

LIMIT_S = 40.0
POLL_S = 0.02

PROGRAM = """
import json, os, sys, time
from pathlib import Path

project, k = Path(os.environ["HSM_PROJECT"]), sys.argv[1]
with (project / "begun.txt").open("a") as file:
    file.write(f"{os.environ['HSM_TASK_ID']} {os.environ['HSM_ATTEMPT']} {os.getpid()}\\n")
print(f"working on {k}", flush=True)
deadline = time.monotonic() + 30
while (project / "hold").exists() and time.monotonic() < deadline:
    time.sleep(0.02)
if k in ("bad", "worse") and not (project / "mended").exists():
    print(f"ValueError: {k} [bold]value[/bold]", file=sys.stderr)
    sys.exit(1)
Path("metrics.json").write_text(json.dumps({"score": len(k)}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command returned and wrote."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The data of the last JSON object on stdout."""
        envelope = json.loads(self.out.splitlines()[-1])
        assert envelope["hsm"] == 1
        return envelope["error"] if envelope["kind"] == "error" else envelope["data"]

    @property
    def kind(self) -> str:
        """The kind of the last JSON object on stdout."""
        return str(json.loads(self.out.splitlines()[-1])["kind"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A folder with a program whose tasks wait while the file `hold` is there, and `hsm` to run in it."""

    root: Path
    hsm: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def sweep(self, name: str, values: list[str], extra: str = "") -> None:
        """Write a sweep file over these values, and the program."""
        (self.root / "work.py").write_text(PROGRAM)
        text = f'name: {name}\nprogram: {{command: [python, "{{project}}/work.py", "{{k}}"]}}\n'
        text += f"sweep: {{grid: {{k: {json.dumps(values)}}}}}\nmax_failure_rate: 1.0\n{extra}"
        (self.root / f"{name}.yaml").write_text(text)

    def run(self, *arguments: str, code: int | None = 0, **environment: str) -> Answer:
        """Run a command to its end and check its exit code."""
        done = subprocess.run(
            [*self.prefix, str(self.hsm), *arguments],
            cwd=self.root,
            env=self._environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            check=False,
        )
        assert code is None or done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def start(self, *arguments: str) -> "Running":
        """Start a command in a process group of its own, its output going to files."""
        name = f"said-{len(list(self.root.glob('said-*.out')))}"
        with (self.root / f"{name}.out").open("wb") as out, (self.root / f"{name}.err").open("wb") as err:
            process = subprocess.Popen(
                [*self.prefix, str(self.hsm), *arguments],
                cwd=self.root,
                env=self._environment({}),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return Running(process, self.root / f"{name}.out", self.root / f"{name}.err")

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
        return {**kept, "TERM": "xterm-256color", **self.environment, **more}

    @property
    def hold(self) -> Path:
        """While this file is there, tasks do not end."""
        return self.root / "hold"

    def begun(self) -> list[tuple[str, str, str]]:
        """Return task, attempt and pid of every program that began."""
        try:
            lines = (self.root / "begun.txt").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [(task, attempt, pid) for task, attempt, pid in (line.split() for line in lines)]

    def tree(self) -> Path:
        """Return the only sweep."""
        (path,) = (self.root / "sweeps" / "outputs").iterdir()
        return path

    def status(self) -> Any:
        """Return what `hsm sweep status --json` says."""
        return self.run("sweep", "status", "--json").data


class Running:
    """A command that runs."""

    def __init__(self, process: "subprocess.Popen[bytes]", out: Path, err: Path) -> None:
        self.process = process
        self.out = out
        self.err = err

    def said(self) -> str:
        """Return what it has said so far."""
        return self.err.read_text()

    def interrupt(self) -> None:
        """Send what Ctrl-C sends: SIGINT to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def kill(self) -> None:
        """End it without any warning, and only it."""
        self.process.kill()
        self.process.wait(LIMIT_S)

    def end(self) -> Answer:
        """Wait for its end."""
        code = self.process.wait(LIMIT_S)
        return Answer(code=code, out=self.out.read_text(), err=self.said())


def until(condition: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(POLL_S)


@contextmanager
def terminal(project: Project, *arguments: str, rows: int = 24, columns: int = 80) -> Iterator["Terminal"]:
    """Run a command in a terminal of this size."""
    import fcntl
    import struct
    import termios

    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(project.root)
        os.execve(str(project.hsm), [str(project.hsm), *arguments], project._environment({}))
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    found = Terminal(pid, descriptor, rows, columns)
    try:
        yield found
    finally:
        found.close()


class Terminal:
    """A terminal that shows what a command draws."""

    def __init__(self, pid: int, descriptor: int, rows: int, columns: int) -> None:
        import pyte

        self._pid = pid
        self._descriptor = descriptor
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self.code: int | None = None

    def text(self) -> str:
        """Return what stands on the screen."""
        return "\n".join(row.rstrip() for row in self._screen.display).rstrip()

    def until(self, condition: Callable[[str], bool], what: str) -> str:
        """Take in what is drawn until the screen is so; return it."""
        deadline = time.monotonic() + LIMIT_S
        while not condition(self.text()):
            assert time.monotonic() < deadline, f"waited in vain for: {what}\n{self.text()}"
            assert self.code is None, f"it ended without: {what}\n{self.text()}"
            self._take()
        return self.text()

    def _take(self) -> None:
        """Take in what is there, waiting a little for it."""
        if not select.select([self._descriptor], [], [], POLL_S)[0]:
            return
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            data = b""
        if data:
            self.raw += data
            self._stream.feed(data)
        else:
            self.code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self._descriptor, keys.encode())

    def end(self) -> int:
        """Wait for the end of the command and return its exit code."""
        deadline = time.monotonic() + LIMIT_S
        while self.code is None:
            assert time.monotonic() < deadline, f"it does not end\n{self.text()}"
            self._take()
        return self.code

    def hang_up(self) -> int:
        """Take the terminal away, as a lost connection does, and return the command's exit code."""
        os.close(self._descriptor)
        self._descriptor = -1
        until(self._is_reaped, "the end after the terminal was lost")
        assert self.code is not None
        return self.code

    def _is_reaped(self) -> bool:
        pid, status = os.waitpid(self._pid, os.WNOHANG)
        if pid:
            self.code = os.waitstatus_to_exitcode(status)
        return pid != 0

    def close(self) -> None:
        """End what still runs."""
        if self.code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        if self._descriptor >= 0:
            os.close(self._descriptor)
