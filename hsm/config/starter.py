"""A first sweep file: commented, checked, and running as it stands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hsm.config.kinds import PARAMETER_FORM, PARAMETER_NAME
from hsm.config.reader import parse
from hsm.config.words import key_shown
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import Value
from hsm.wire.yaml_text import yaml_value

SCHEMA_NAME = "sweep.schema.json"
DEFAULT_PARAMETERS: Mapping[str, tuple[Value, ...]] = {"k": (0.1, 0.2, 0.4), "n": (32, 64)}
_OPENING = frozenset("[{")

_SWEEP = """\
# yaml-language-server: $schema={schema}
# (for editors; `hsm config schema sweep > {schema}` writes that file anew)
#
{commands}

name: {name}                # begins the sweep's id

program:
  # The command of every task: {{name}} becomes a parameter's value, {{project}} the folder of this project.
  # A program of yours: [python, "{{project}}/run.py", "--k={{k}}"]. Numbers that it writes to metrics.json
  # are what reports and hunts look at.
  command: {command}

sweep:
  grid:                     # every combination of these lists: {count} tasks
{grid}
  # paired: [{{size: {{width: [1, 2], height: [3, 4]}}}}]      lists that go together
  # exclude: [{{k: 0.1, n: 64}}]                             combinations to leave out
  # seeds: 3                                               replicates of each; the program reads HSM_SEED

sources: [local:2]          # where to run: this machine, two tasks at a time

# timeout: 10m              # limit on the run time of one task
# resources: {{cpus: 1, memory: 1GiB}}
# retry: {{application: 1}}   # how often to try again, by cause
# metadata: {{description: "what this is about"}}
"""

PROJECT = """\
# The settings of this project. All of them are optional; `hsm config show --origin` tells what holds.
# Stronger: a sweep file, and variables such as HSM_TIMEOUT. Weaker: ~/.config/hsm/config.yaml.

outputs: sweeps/outputs     # where sweeps are kept, from this folder

# sources:                  # what each compute source needs
#   local: {slots: 4, venv: .venv}
#   ssh:gpu1: {slots: 8, conda: /opt/conda/envs/sim, variables: {OMP_NUM_THREADS: 4}}

# timeout: 1h               # for every sweep that does not say otherwise
# resources: {cpus: 1, memory: 4GiB}
# retry: {node: 3}
# max_failure_rate: 0.5
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a first sweep shall be: its name, its program, and the values of its parameters."""

    name: str
    parameters: Mapping[str, Sequence[Value]]
    command: str = ""

    @property
    def line(self) -> str:
        """The command; where none is wished for, one that every machine has, which shows the parameters."""
        return self.command or shlex.join(["echo", *(f"{name}={{{name}}}" for name in self.parameters)])


def default_name(path: Path) -> str:
    """Return a name for the sweep of a file: that of the file, or of its folder when it is called `sweep`."""
    word = path.absolute().parent.name if path.stem in ("sweep", "") else path.stem
    return re.sub(r"[^a-z0-9._-]+", "-", word.lower()).strip("-._")[:64] or "first-sweep"


def read_parameter(text: str) -> tuple[str, tuple[Value, ...]]:
    """Return the parameter that `k=0.1,0.2` names, with its values.

    Raises:
        ConfigError: it is not of this form.
    """
    name, equals, values = text.partition("=")
    name = name.strip()
    where = f"parameter {key_shown(text)}"
    if not equals or not PARAMETER_NAME.fullmatch(name):
        message = f"expected NAME=VALUE,VALUE,...; a name is made of {PARAMETER_FORM}"
        raise ConfigError([Problem(where=where, message=message, hint="for example `k=0.1,0.2,0.4`")])
    inner = values.strip()
    listed = parse(inner if inner[:1] in _OPENING else f"[{inner}]", where).plain()
    if not isinstance(listed, list) or not listed or None in listed:
        raise ConfigError(
            [Problem(where=where, message="a value is missing", hint=f"for example `{name}=0.1,0.2,0.4`")]
        )
    return name, tuple(listed)


def read_parameters(texts: Sequence[str]) -> Mapping[str, Sequence[Value]]:
    """Return the parameters that are named; those of the default where none is.

    Raises:
        ConfigError: with everything that is wrong with any of them.
    """
    problems: list[Problem] = []
    read: dict[str, Sequence[Value]] = {}
    for text in texts:
        try:
            name, values = read_parameter(text)
            read[name] = values
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return read or DEFAULT_PARAMETERS


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        message = f"cannot be split into words: {error}"
        raise ConfigError([Problem(where="command", message=message, hint="close the quote")]) from error
    return words


def sweep_text(wish: Wish, file: Path, project: Path) -> str:
    """Return the text of the sweep file."""
    count = 1
    for values in wish.parameters.values():
        count *= len(values)
    return _SWEEP.format(
        schema=SCHEMA_NAME,
        commands=_commands(shlex.quote(str(file))),
        name=yaml_value(wish.name),
        command=yaml_value(_words(wish.line, project)),
        grid="\n".join(f"    {key}: {yaml_value(list(values))}" for key, values in wish.parameters.items()),
        count=count,
    )


def _commands(file: str) -> str:
    commands = {
        f"hsm config validate {file}": "checks this file",
        f"hsm sweep run {file} --dry-run": "prints the commands",
        f"hsm sweep run {file}": "runs them",
        "hsm monitor watch": "follows them",
    }
    width = max(map(len, commands))
    return "\n".join(f"#   {command:{width}}  {what}" for command, what in commands.items())


def _words(command: str, project: Path) -> list[str]:
    """Return the words of a command; a file of the project is named so that each task finds it."""
    words = _split(command)
    is_ours = [not word.startswith(("/", "-")) and (project / word).is_file() for word in words]
    return [f"{{project}}/{word}" if ours else word for word, ours in zip(words, is_ours, strict=True)]
