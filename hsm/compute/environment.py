"""The environment of attempts: interpreter, prefix, modules, set-up script, variables."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from hsm.core.errors import SourceError
from hsm.core.spec import EnvironmentSpec
from hsm.core.world import World
from hsm.wire.files import Files

SETUP_S = 300.0
PYTHONS = frozenset({"python", "python3"})
_DUMP = 'import json, os; print("\\n@@hsm " + json.dumps(dict(os.environ)))'


@dataclass(frozen=True, slots=True)
class Environment:
    """What attempts on this machine find: variables, and the interpreter that `python` means."""

    variables: Mapping[str, str]
    python: str

    def resolve(self, files: Files, argv: Sequence[str]) -> tuple[str, ...]:
        """Return the command with its program as an absolute path, where it can be found."""
        if not argv:
            return ()
        program = argv[0]
        if program in PYTHONS:
            return (self.python, *argv[1:])
        found = None if os.sep in program else files.find_program(program, self.variables.get("PATH"))
        return (found or program, *argv[1:])


def prepare(world: World, source: str, spec: EnvironmentSpec, project: Path, log: Path) -> Environment:
    """Work out the environment; modules and the set-up script run once, their output kept in `log`. Blocks.

    Raises:
        SourceError: the prefix, the interpreter or the script is missing, or setting up failed.
    """
    variables = world.environment()
    if spec.modules or spec.setup:
        variables = _set_up(world, source, spec, project, log=log, variables=variables)
    python = _python(world.files, source, spec, project, variables)
    if spec.prefix:
        prefix = project / spec.prefix
        variables["PATH"] = f"{prefix / 'bin'}{os.pathsep}{variables.get('PATH', os.defpath)}"
        name = "CONDA_PREFIX" if world.files.is_directory(str(prefix / "conda-meta")) else "VIRTUAL_ENV"
        variables[name] = str(prefix)
    return Environment({**variables, **spec.variables}, python)


def _python(
    files: Files, source: str, spec: EnvironmentSpec, project: Path, variables: Mapping[str, str]
) -> str:
    if spec.python and os.sep in spec.python:
        python = project / spec.python
    elif spec.python:  # by name: as modules and the set-up script leave PATH
        python = Path(files.find_program(spec.python, variables.get("PATH")) or spec.python)
    elif spec.prefix:
        python = project / spec.prefix / "bin" / "python"
    else:
        return sys.executable
    if not files.is_executable(str(python)):
        raise SourceError(
            source, f"there is no interpreter at {python}", hint=f"check `sources.{source}` in hsm.yaml"
        )
    return str(python)


def _set_up(
    world: World,
    source: str,
    spec: EnvironmentSpec,
    project: Path,
    *,
    log: Path,
    variables: Mapping[str, str],
) -> dict[str, str]:
    """Load modules and source the script in a login shell, and return the environment that this leaves."""
    lines = ["set -e"]
    lines += [f"module load {shlex.quote(module)}" for module in spec.modules]
    if spec.setup:
        lines.append(f". {shlex.quote(str(project / spec.setup))}")
    lines.append(f"exec {shlex.quote(sys.executable)} -c {shlex.quote(_DUMP)}")
    script = "\n".join(lines) + "\n"
    world.files.make_directories(str(log.parent))
    world.files.write_new(str(log.with_suffix(".sh")), script.encode("utf-8"))
    try:
        done = world.run(["bash", "-lc", script], cwd=project, environment=variables, timeout_s=SETUP_S)
    except (OSError, TimeoutExpired) as error:
        raise SourceError(source, f"setting up failed: {error}") from error
    output, _, dump = done.stdout.rpartition(b"\n@@hsm ")
    world.files.write_new(str(log), output + done.stderr)
    if done.returncode != 0 or not dump:
        last = (done.stderr.decode("utf-8", "replace").strip().splitlines() or ["no output"])[-1]
        raise SourceError(source, f"setting up failed: {last}", hint=f"the whole log is in {log}")
    environment: dict[str, str] = json.loads(dump)
    return environment
