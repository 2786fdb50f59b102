"""Options and arguments that several commands share, so that they have one name and one meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def _as_json(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's form
    ctx.obj.as_json = value
    return value


def _quiet(ctx: click.Context, _param: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's form
    ctx.obj.quiet = value
    return value


json_output = click.option(
    "--json",
    "as_json",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_as_json,
    help="Write one JSON object to stdout.",
)
quiet = click.option(
    "-q", "--quiet", is_flag=True, expose_value=False, callback=_quiet, help="Say nothing but errors."
)
outputs = click.option(
    "--outputs",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="The directory that holds the sweeps [default: sweeps/outputs of the project].",
)
sources = click.option(
    "-s",
    "--source",
    "sources",
    multiple=True,
    metavar="SOURCE",
    help="Where to run, such as local:4; repeat it for several. Wins over the file.",
)
max_tasks = click.option(
    "--max-tasks",
    type=click.IntRange(min=1),
    metavar="N",
    help="Run the first N tasks only; `hsm sweep complete` runs the others.",
)


def limit(count: int) -> Callable[[Any], Any]:
    """Return the option that shows the newest so many sweeps only."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=count,
        show_default=True,
        metavar="N",
        help="The newest so many.",
    )


of_analysis = click.option(
    "--analysis", metavar="NAME", help="What this analysis did with the task's result."
)
sweep = click.argument("reference", default="last", metavar="[ID]")
some_sweep = click.argument("reference", metavar="ID")
_FILE = click.Path(path_type=Path, readable=False)  # the reader of the file says what is wrong, and the fix
file = click.argument("file", type=_FILE, metavar="FILE")
maybe_file = click.argument("file", type=_FILE, metavar="[FILE]", required=False)
overrides = click.argument("overrides", nargs=-1, metavar="[OVERRIDES]...")
