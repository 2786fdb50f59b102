"""Before anything is made: is the program there at all? A missing one is one clear error, not a failed sweep.

Checked is what can be known for sure on this machine: the program itself, the script that an interpreter is
given, and arguments that are nothing but a project file.
"""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hsm.api.sourcing import Sourcing
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import ProgramSpec, SweepSpec

PROJECT = "{project}/"
WHERE = "program.command"
INTERPRETERS = ("python", "python3", "sh", "bash", "Rscript", "julia", "perl", "node")


def check_program(program: ProgramSpec, project: Path, sources: Iterable[Sourcing]) -> None:
    """Refuse a program that cannot be started.

    Raises:
        ConfigError: everything that is missing.
        SourceError: the environment of a source is not there.
    """
    _refuse(_problems(program, project, list(sources)))


def check_programs(spec: SweepSpec, project: Path, sources: Iterable[Sourcing]) -> None:
    """Refuse a new sweep whose program, or that of one of its analyses, cannot be started.

    Raises:
        ConfigError: everything that is missing.
        SourceError: the environment of a source is not there.
    """
    sources = list(sources)
    here = [sourcing for sourcing in sources if sourcing.spec.name == "local"]  # there analyses run
    problems = _problems(spec.program, project, sources)
    for analysis in spec.analyses:
        where = f"analyses.{analysis.name}.command"
        problems += [replace(each, where=where) for each in _problems(analysis.program, project, here)]
    _refuse(problems)


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise ConfigError(list(dict.fromkeys(problems)))


def _problems(program: ProgramSpec, project: Path, sources: Sequence[Sourcing]) -> list[Problem]:
    problems = list(missing_files(program, project))
    for sourcing in sources:
        problems += _missing_program(program, project, sourcing)
    return problems


def missing_files(program: ProgramSpec, project: Path) -> Iterator[Problem]:
    """Yield a problem for each argument that names a project file which is not there."""
    if program.shell:
        return
    for place, word in enumerate(program.command):
        rest = word.removeprefix(PROJECT)
        if rest != word and "{" not in rest and not (project / rest).exists():
            yield _absent(rest, project)
        elif place == 1 and _is_script(program.command[0], word):
            yield _misplaced(word) if (project / word).is_file() else _absent(word, project)


def _is_script(interpreter: str, word: str) -> bool:
    is_plain = not word.startswith(("-", "/")) and "{" not in word
    return Path(interpreter).name in INTERPRETERS and is_plain


def _absent(name: str, project: Path) -> Problem:
    return Problem(where=WHERE, message=f"{name} is not in the project {project}", hint=_near(project / name))


def _misplaced(name: str) -> Problem:
    """Return the problem of a project file that would be looked for where the task runs."""
    hint = f'write "{PROJECT}{name}"'
    return Problem(where=WHERE, message=f"{name} would be looked for in each task's own directory", hint=hint)


def _missing_program(program: ProgramSpec, project: Path, sourcing: Sourcing) -> list[Problem]:
    """Return what is wrong with the program itself, where a source on this machine can tell."""
    word, environment = program.command[0], sourcing.spec.environment
    is_elsewhere = sourcing.spec.kind != "local" or environment.modules or environment.setup
    if program.shell or is_elsewhere or "{" in word:
        return []
    found = sourcing.source.argv([word])[0]
    if os.access(found, os.X_OK) and Path(found).is_absolute():
        return []
    if Path(found).is_absolute():
        why = "may not be executed" if Path(found).exists() else "does not exist"
        return [Problem(where=WHERE, message=f"the program {found} {why}", hint=_near(Path(found)))]
    name = found.removeprefix("./")
    if (project / name).is_file():
        return [_misplaced(name)]
    message = f"the program {found!r} is not on the PATH of {sourcing.spec.name}"
    return [Problem(where=WHERE, message=message, hint=_program_hint(name))]


def _program_hint(name: str) -> str:
    near = _closest(name, filter(shutil.which, INTERPRETERS))
    other = "install it, give its whole path, or set the environment of the source in hsm.yaml"
    return f"did you mean {near}?" if near else other


def _near(path: Path) -> str:
    """Return which file of the same directory may be meant."""
    try:
        near = _closest(path.name, [entry.name for entry in path.parent.iterdir()])
    except OSError:
        return f"there is no directory {path.parent}"
    return f"did you mean {near}?" if near else ""


def _closest(word: str, known: Iterable[str]) -> str | None:
    return next(iter(difflib.get_close_matches(word, list(known), 1, 0.6)), None)
