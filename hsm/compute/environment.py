"""The environment of attempts on this machine, and the record of how it was made."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from subprocess import TimeoutExpired

from hsm.core.errors import SourceError
from hsm.core.spec import EnvironmentSpec
from hsm.core.world import World
from hsm.wire.environment import NotReady, Preparation, Wanted
from hsm.wire.files import Files

PYTHONS = frozenset({"python", "python3"})


@dataclass(frozen=True, slots=True)
class Environment:
    """What attempts on a machine find: variables, the interpreter that `python` means, and its version."""

    variables: Mapping[str, str]
    python: str
    version: str = ""

    @property
    def interpreter(self) -> dict[str, str]:
        """What provenance reports say of the interpreter."""
        return {"path": self.python, "version": self.version}

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
    preparation, wanted = _preparation(world, project, log), _wanted(spec, project)
    try:
        if spec.modules or spec.setup:
            world.files.make_directories(str(log.parent))
            keep_scripts(world.files, log, preparation.script(wanted, sys.executable), wanted.setup)
        ready = preparation.prepare(wanted, world.environment(), sys.executable)
    except NotReady as error:
        raise not_ready(source, error, log) from error
    return Environment(ready.variables, ready.python)


def prepared(world: World, source: str, spec: EnvironmentSpec, project: Path, log: Path) -> Environment:
    """Do as `prepare`, and ask the interpreter for its version. Blocks.

    Raises:
        SourceError: the environment cannot be had.
    """
    found = prepare(world, source, spec, project, log)
    if found.python == sys.executable:
        return replace(found, version=sys.version.split()[0])
    world.files.make_directories(str(log.parent))
    try:
        version = _preparation(world, project, log).version(found.python, found.variables)
    except NotReady as error:
        raise not_ready(source, error, log) from error
    return replace(found, version=version)


def keep_scripts(files: Files, log: Path, script: str, setup: str | None) -> None:
    """Keep what sets up beside its log: what the shell is given, and the user's script as it was."""
    files.write_new(str(log.with_suffix(".sh")), script.encode("utf-8"))
    if setup is not None and files.is_file(setup):
        files.write_new(str(log.with_suffix(".setup.sh")), files.contents(setup))


def not_ready(source: str, error: NotReady, log: Path) -> SourceError:
    """Return the error of an environment that cannot be had."""
    hint = f"the whole log is in {log}" if error.is_set_up else f"check `sources.{source}` in hsm.yaml"
    return SourceError(source, str(error), hint=hint)


def _preparation(world: World, project: Path, log: Path) -> Preparation:
    def run(command: list[str], directory: str, variables: Mapping[str, str], limit_s: float) -> int:
        try:
            done = world.run(command, cwd=Path(directory), environment=variables, timeout_s=limit_s)
        except TimeoutExpired as error:
            raise TimeoutError(f"it took longer than {limit_s:g} s") from error
        return done.returncode

    return Preparation(world.files, run, str(project), str(log))


def _wanted(spec: EnvironmentSpec, project: Path) -> Wanted:
    is_path = spec.python is not None and os.sep in spec.python
    return Wanted(
        python=str(project / spec.python) if is_path and spec.python else spec.python,
        prefix=str(project / spec.prefix) if spec.prefix else None,
        modules=spec.modules,
        setup=str(project / spec.setup) if spec.setup else None,
        variables=spec.variables,
    )
