"""The index of all commands that completion reads: made from the commands, kept in `completion.json`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

_METAVARS = {
    "ID": "sweep",
    "TASK": "task",
    "TASKS": "task",
    "SELECTOR": "task",
    "SOURCE": "source",
    "FILE": "file",
    "PATH": "file",
    "DIR": "dir",
}
_NAMED = {("source check", "NAME"): "source", ("doctor", "NAME"): "source"}


def index_of(root: click.Group, topics: list[str]) -> dict[str, Any]:
    """Return what can be typed: groups with their commands, commands with what they take."""
    groups: dict[str, dict[str, str]] = {}
    commands: dict[str, Any] = {}
    _walk(root, "", groups, commands)
    if "help" in commands:
        commands["help"]["arguments"][0]["takes"] = topics
    return {"groups": groups, "commands": commands}


def _walk(group: click.Group, path: str, groups: dict[str, dict[str, str]], commands: dict[str, Any]) -> None:
    ctx = click.Context(group, info_name=path or "hsm")
    groups[path] = {}
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if command is None:
            continue
        below = f"{path} {name}".strip()
        groups[path][name] = command.get_short_help_str(70)
        if isinstance(command, click.Group):
            _walk(command, below, groups, commands)
        else:
            commands[below] = _command(command, below)


def _command(command: click.Command, path: str) -> dict[str, Any]:
    options: dict[str, Any] = {"--help": {"takes": None, "repeats": False, "help": "Show this message."}}
    arguments: list[dict[str, Any]] = []
    for parameter in command.params:
        takes = _takes(parameter, path)
        if isinstance(parameter, click.Option):
            content = {"takes": takes, "repeats": parameter.multiple, "help": _first(parameter.help)}
            options.update(dict.fromkeys([*parameter.opts, *parameter.secondary_opts], content))
        else:
            arguments.append({"takes": takes, "repeats": parameter.nargs == -1})
    return {"options": options, "arguments": arguments}


def _first(text: str | None) -> str:
    return (text or "").partition(". ")[0].partition(" [")[0].removesuffix(".")


def _takes(parameter: click.Parameter, path: str) -> str | list[str] | None:
    """Return what a value can be: a kind, the words themselves, `any`, or None where none is taken."""
    if isinstance(parameter, click.Option) and (parameter.is_flag or parameter.count):
        return None
    if isinstance(parameter.type, click.Choice):
        return [str(choice) for choice in parameter.type.choices]
    word = (parameter.metavar or "").replace("...", "").strip("[]")
    kinds: Mapping[str, str] = _METAVARS
    return _NAMED.get((path, word)) or kinds.get(word, "any")
