"""The environment of attempts: what modules, a set-up script and a prefix make of it, on whichever machine.

The set-up runs in a login shell, which may print what it likes: its output goes into a log, and what it
leaves is written into a file of its own, never read from what was printed.
"""

from __future__ import annotations

import json
import os
import shlex
from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from hsm.wire.files import Files

SETUP_S = 300.0
PROBE_S = 60.0
MAX_LOG_BYTES = 4 << 20
_DUMP = "import json, os, sys; open(sys.argv[1], 'w').write(json.dumps(dict(os.environ)))"
_PROBE = "import sys; open(sys.argv[1], 'w').write('%d.%d.%d' % sys.version_info[:3])"

RunCommand = Callable[[List[str], str, Mapping[str, str], float], int]
"""Runs a command in a directory with variables, for so many seconds at most, and returns its exit code.

Raises:
    OSError: it cannot be started, or takes too long.
"""


class Wanted(NamedTuple):
    """What a source asks for. Paths are absolute; `python` may be a name, looked for on PATH."""

    python: Optional[str] = None
    prefix: Optional[str] = None
    modules: Tuple[str, ...] = ()
    setup: Optional[str] = None
    variables: Mapping[str, str] = {}


class Ready(NamedTuple):
    """What attempts find: variables, and the interpreter that `python` means."""

    variables: Dict[str, str]
    python: str


class NotReady(Exception):
    """The environment cannot be had. `is_set_up`: it is the set-up that failed, and its log tells more."""

    def __init__(self, reason: str, *, is_set_up: bool = False) -> None:
        super().__init__(reason)
        self.is_set_up = is_set_up


class Preparation:
    """Makes the environment of one source on this machine; `log` is where the set-up's output goes."""

    def __init__(self, files: Files, run: RunCommand, directory: str, log: str) -> None:
        self._files = files
        self._run = run
        self._directory = directory
        self._log = log

    def prepare(
        self, wanted: Wanted, variables: Mapping[str, str], interpreter: str, pythons: Sequence[str] = ()
    ) -> Ready:
        """Return the environment that comes of `variables`.

        Where none is asked for, `python` means the first of `pythons` that is on PATH, else `interpreter`.

        Raises:
            NotReady: prefix, interpreter or script is missing, or setting up failed.
        """
        found = dict(variables)
        if wanted.modules or wanted.setup:
            found = self._set_up(wanted, found, interpreter)
        if wanted.prefix:
            found["PATH"] = f"{wanted.prefix}/bin{os.pathsep}{found.get('PATH', os.defpath)}"
            is_conda = self._files.is_directory(f"{wanted.prefix}/conda-meta")
            found["CONDA_PREFIX" if is_conda else "VIRTUAL_ENV"] = wanted.prefix
        python = self._python(wanted, found, interpreter, pythons)
        found.update(wanted.variables)
        return Ready(found, python)

    def script(self, wanted: Wanted, interpreter: str) -> str:
        """Return what the login shell is given to run."""
        lines = [f"exec >>{shlex.quote(self._log)} 2>&1", "set -e"]
        lines += [f"module load {shlex.quote(module)}" for module in wanted.modules]
        if wanted.setup:
            lines.append(f". {shlex.quote(wanted.setup)}")
        dump = " ".join(map(shlex.quote, (interpreter, "-I", "-c", _DUMP, self._answer)))
        return "\n".join([*lines, f"exec {dump}"]) + "\n"

    @property
    def _answer(self) -> str:
        return f"{self._log}.answer"

    def _set_up(self, wanted: Wanted, variables: Dict[str, str], interpreter: str) -> Dict[str, str]:
        if wanted.setup and not self._files.is_file(wanted.setup):
            raise NotReady(f"there is no set-up script {wanted.setup}")
        self._files.write_new(self._log, b"")
        script = self.script(wanted, interpreter)
        code, answer = self._asked(["bash", "-lc", script], variables, SETUP_S, "setting up failed")
        try:
            environment: Dict[str, str] = json.loads(answer) if code == 0 else {}
        except ValueError:
            environment = {}
        if not environment:
            raise NotReady(f"setting up failed: {self._last_words()}", is_set_up=True)
        return environment

    def _asked(
        self, command: List[str], variables: Mapping[str, str], limit_s: float, fault: str
    ) -> "Tuple[int, bytes]":
        """Run a command that writes an answer into a file, which nobody else may read."""
        self._files.write_new(self._answer, b"")
        try:
            self._files.set_mode(self._answer, 0o600)
            code = self._run(command, self._directory, variables, limit_s)
            return code, self._files.contents(self._answer)
        except OSError as error:
            raise NotReady(f"{fault}: {error.strerror or error}", is_set_up=True) from error
        finally:
            self._files.remove(self._answer)

    def _last_words(self) -> str:
        length = self._files.length(self._log)
        tail = self._files.read(self._log, max(0, length - 4096)).decode("utf-8", "replace")
        return (tail.strip().splitlines() or ["no output"])[-1]

    def _python(
        self, wanted: Wanted, variables: Mapping[str, str], interpreter: str, pythons: Sequence[str]
    ) -> str:
        path = variables.get("PATH")
        if wanted.python and os.sep in wanted.python:
            python = wanted.python
        elif wanted.python:
            python = self._files.find_program(wanted.python, path) or wanted.python
        elif wanted.prefix:
            python = f"{wanted.prefix}/bin/python"
        else:
            found = (self._files.find_program(name, path) for name in pythons)
            return next(filter(None, found), interpreter)
        if not self._files.is_executable(python):
            raise NotReady(f"there is no interpreter at {python}")
        return python

    def version(self, python: str, variables: Mapping[str, str]) -> str:
        """Return the version of an interpreter.

        Raises:
            NotReady: it does not run.
        """
        command = [python, "-c", _PROBE, self._answer]
        code, answer = self._asked(command, variables, PROBE_S, f"the interpreter {python} does not run")
        if code != 0 or not answer:
            raise NotReady(f"the interpreter {python} does not run: exit code {code}")
        return answer.decode("ascii", "replace")[:40]

    def log(self) -> bytes:
        """Return what the set-up printed; of very much the end."""
        try:
            length = self._files.length(self._log)
        except FileNotFoundError:
            return b""
        return self._files.read(self._log, max(0, length - MAX_LOG_BYTES))


def visible_gpus(files: Files, variables: Mapping[str, str]) -> List[str]:
    """Return the GPUs of this machine that attempts may be given."""
    visible = variables.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [gpu for gpu in visible.split(",") if gpu.strip()]
    return [path[len("nvidia") :] for path in files.glob("/dev", "nvidia[0-9]*")]
