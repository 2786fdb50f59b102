"""The page `docs/reference/cli.md`, made from the commands themselves.

`python -m tests.unit.cli.reference` writes it anew.
"""

from collections.abc import Iterator
from pathlib import Path

import click

from hsm.cli.main import cli

PAGE = Path(__file__).resolve().parents[3] / "docs" / "reference" / "cli.md"
WIDTH = 92
HEAD = """# Commands

Every command with its options, as `--help` shows it. This page is made from the commands themselves:
`python -m tests.unit.cli.reference` writes it anew.

- **ID** is a sweep's id, the first letters of one, its path, or `last` (also `@`).
  **TASK** and **TASKS** are selectors: `3`, `task_0003`, `3-9`, `1-10:2`, `failed`, `running`,
  `open`, `best:5`, `all`, several joined by commas.
- **SOURCE** is a compute source, such as `local:4`: four attempts at a time on this machine.
- stdout is data, stderr is talk. `--json` writes one object to stdout,
  `{"hsm": 1, "kind": ..., "data": ...}`, and for an error
  `{"hsm": 1, "kind": "error", "error": {"code", "message", "hint", "transient"}}`; only
  `hsm monitor watch --json` writes several: a snapshot, the events of the ledger, a last snapshot.
- `NO_COLOR` and `TERM=dumb` turn colour off, `FORCE_COLOR` turns it on. `HSM_TRACEBACK=1` shows the
  traceback of a defect.
- Exit codes are told [on a page of their own](exit-codes.md).
"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Yield every command that does something, with the words that call it."""
    yield from _below(cli, "hsm")


def _below(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    ctx = click.Context(group, info_name=path)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None, f"{path} {name} cannot be imported"
        if isinstance(command, click.Group):
            yield from _below(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def help_of(path: str, command: click.Command) -> str:
    """Return what `--help` shows, at one width for every reader."""
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": WIDTH}
    return command.get_help(click.Context(command, info_name=path, **settings))  # type: ignore[arg-type]


def page() -> str:
    """Return the whole page."""
    parts = [HEAD]
    parts += [f"## {path}\n\n```text\n{help_of(path, command)}\n```\n" for path, command in commands()]
    return "\n".join(parts)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
