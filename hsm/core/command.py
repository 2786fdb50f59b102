"""The command of a task: the program's template filled in. Values never pass through a shell unquoted."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from hsm.core.model import Task
from hsm.core.spec import ArgumentStyle, ProgramSpec, Value
from hsm.core.template import Literal, Part, hydra_argument, parse_template, render_argument

SHELL = "/bin/sh"
NO_PLACES: Mapping[str, str] = MappingProxyType({})


class CommandTemplate:
    """A program's command, parsed once, filled in for every task.

    Raises:
        TemplateError: the template cannot be read.
    """

    def __init__(self, program: ProgramSpec, project: Path, places: Mapping[str, str] = NO_PLACES) -> None:
        self._parts = [parse_template(text) for text in program.command]
        self._shell = program.shell
        self._hydra = program.arguments is ArgumentStyle.HYDRA
        self._places = {"project": str(project), **places}

    def argv(self, task: Task) -> tuple[str, ...]:
        """Return the task's argv.

        Raises:
            TemplateError: a placeholder has no value.
        """
        params: Mapping[str, Value] = json.loads(task.params_json)
        values = {**params, **self._reserved(task)}
        extra = [hydra_argument(name, value) for name, value in params.items()] if self._hydra else []
        if self._shell:
            line = " ".join([*(_quoted(parts, values) for parts in self._parts), *map(shlex.quote, extra)])
            return (SHELL, "-c", line)
        return (*(render_argument(parts, values) for parts in self._parts), *extra)

    def _reserved(self, task: Task) -> Mapping[str, Value]:
        return {
            **self._places,
            "config_hash": task.config_hash,
            "task_id": task.task_id,
            "seed": task.seed,
            "results": "results",  # the program runs in its attempt's directory
            "params": "params.yaml",
        }


def _quoted(parts: list[Part], values: Mapping[str, Value]) -> str:
    """Fill in a line for the shell: its own text as it is, every value quoted."""
    return "".join(
        part.text if isinstance(part, Literal) else shlex.quote(render_argument([part], values))
        for part in parts
    )


def printable(argv: tuple[str, ...]) -> str:
    """Return the command as it could be typed."""
    return shlex.join(argv)
