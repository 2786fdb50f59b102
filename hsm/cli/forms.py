"""The form of a command: its help shows examples as they can be typed, before its options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import click


class Command(click.Command):
    """A command with examples, each one line without the leading `hsm`."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what the command does, then its examples."""
        super().format_help_text(ctx, formatter)
        write_examples(formatter, self.examples)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Write examples, never wrapped."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':{formatter.current_indent}}hsm {example}\n")


def command(*examples: str) -> Callable[[Callable[..., Any]], Command]:
    """Make a function a command with these examples."""
    return click.command(cls=Command, examples=examples)
