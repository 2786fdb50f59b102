"""Groups of commands that import a command only when it is called, so that `hsm --help` is quick."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import click

from hsm.cli.forms import write_examples


@dataclass(frozen=True, slots=True)
class Entry:
    """A command that is not imported yet: where it is (`module:name`), and its line in the help."""

    target: str
    summary: str


class UnknownCommand(click.UsageError):
    """There is no such command; `hint` names the one that may have been meant, or is empty."""

    def __init__(self, name: str, ctx: click.Context, hint: str) -> None:
        super().__init__(f"No such command {name!r}.", ctx)
        self.hint = hint


class LazyGroup(click.Group):
    """A group whose commands are entries."""

    def __init__(
        self, *args: Any, entries: Mapping[str, Entry], examples: Sequence[str] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.entries = entries
        self.examples = tuple(examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what it is about, then examples."""
        super().format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return list(self.entries)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and return it."""
        entry = self.entries.get(cmd_name)
        if entry is None:
            return None
        module, _, name = entry.target.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def known_paths(self) -> Mapping[str, str]:
        """Return, by name, what is to be typed behind this group for each command that it may mean."""
        return {name: name for name in self.entries}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called, or say which one may have been meant."""
        name = args[0]
        if name in self.entries or ctx.resilient_parsing or name.startswith("-"):
            return super().resolve_command(ctx, args)
        paths = self.known_paths()
        near = difflib.get_close_matches(name.lower(), paths, n=1)
        meant = f"{ctx.command_path} {paths[near[0]]}" if near else ""
        raise UnknownCommand(name, ctx, f"did you mean `{meant}`?" if meant else "")

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by their entries, importing none."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in self.entries.items()])
