"""`hsm results`: what came out of one or many sweeps, as a table or for other programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import VERSION, Console, Tone
from hsm.cli.whole_file import whole_file
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace
from hsm.core.errors import ConfigError, ExitCode, Problem, SweepError
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree
from hsm.results.query import Answer, Query

FORMATS = ("table", "csv", "json", "jsonl", "parquet")
FLUSHED_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked, of which sweeps, and where the answer goes."""

    sweeps: list[tuple[SweepTree, SweepSpec]]
    query: Query
    form: str
    output: Path | None


@forms.command(
    "results",
    "results last --where 'score > 0.8 and status == \"sealed\"' --sort -score --limit 10",
    "results all --fields sweep,task,param.*,score -o scores.csv",
    "results last --format jsonl | jq .'\"metric.score\"'",
)
@click.argument("references", nargs=-1, metavar="[ID]...")
@click.option("--where", default="", metavar="EXPR", help="Only rows for which this holds.")
@click.option("--fields", default="", metavar="A,B", help="These columns, in this order; param.* means all.")
@click.option("--sort", default="", metavar="[-]COLUMN", help="In this order; with a minus, falling.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many rows.")
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    help="How rows are written [default: table, or what the name of -o says].",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to this file, whole or not at all.",
)
@options.outputs
@options.quiet
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    references: tuple[str, ...],
    where: str,
    fields: str,
    sort: str,
    limit: int | None,
    form: str | None,
    output: Path | None,
    outputs: Path | None,
) -> ExitCode:
    """Write the results of sweeps: a row for each task, failed and open ones with their reasons.

    ID may be `all`; without one it is the last sweep. Columns are param.*, metric.* and meta.*; the part
    behind the dot is enough where it is not ambiguous. Rows come in task order, while the ledger is read.
    """
    names = tuple(word for word in (piece.strip() for piece in fields.split(",")) if word)
    request = Request(
        sweeps=_sweeps(Workspace.here(outputs), references or ("last",)),
        query=Query(where=where, fields=names, sort=sort, limit=limit),
        form=_form(console, form, output),
        output=output,
    )
    match request.form:
        case "table":
            return _table(console, request)
        case "parquet":
            return _parquet(console, request)
        case "json":
            return _json(console, request)
        case _:
            return _lines(console, request)


def _sweeps(space: Workspace, references: tuple[str, ...]) -> list[tuple[SweepTree, SweepSpec]]:
    from hsm.config import load_frozen

    found: dict[Path, SweepTree] = {}
    for reference in references:
        trees = space.sweeps.all() if reference == "all" else [space.find(reference)]
        found.update({tree.root: tree for tree in trees})
    if not found:
        raise SweepError(
            f"there is no sweep in {space.outputs}", hint="start one: `hsm sweep run FILE --source local`"
        )
    return [(tree, load_frozen(tree.config)) for tree in found.values()]


def _form(console: Console, form: str | None, output: Path | None) -> str:
    """Return the format that is meant.

    Raises:
        ConfigError: what is asked for does not go together.
    """
    suffix = output.suffix.removeprefix(".").lower() if output else ""
    if console.as_json and form not in (None, "json"):
        raise _misused("--format", f"{form} cannot stand beside --json", "leave one of them away")
    chosen = "json" if console.as_json else form or (suffix if suffix in FORMATS else "")
    if output is not None and not chosen:
        raise _misused("--output", f"what {output.name} shall hold is not known", "add --format csv")
    if chosen == "parquet" and output is None:
        raise _misused("--format", "parquet goes to a file", "add `-o results.parquet`")
    return chosen or "table"


def _misused(where: str, message: str, hint: str) -> ConfigError:
    return ConfigError([Problem(where=where, message=message, hint=hint)])


def _answer(request: Request, *, whole: bool = False) -> Answer:
    from hsm.results.query import answer
    from hsm.wire.files import Files

    return answer(Files(), request.sweeps, request.query, whole=whole)


# For people


def _table(console: Console, request: Request) -> ExitCode:
    from hsm.cli.rows_table import RowsTable

    found = _answer(request)
    table = RowsTable(console, found.fields or _worth_seeing(request, found))
    table.write(found.rows)
    if table.left_out and not request.query.fields:
        hidden = ", ".join(table.left_out[:6]) + (" ..." if len(table.left_out) > 6 else "")
        console.say((f"not shown for want of room: {hidden}; --fields chooses", Tone.DIM))
    return _close(console, request, found, may_lack=True)


def _worth_seeing(request: Request, found: Answer) -> list[str]:
    """Return the columns of a table when none are chosen: what differs, what came out, what went wrong."""
    from hsm.results.query import varying

    params = {name for _, spec in request.sweeps for name in varying(spec)}
    wanted = {"meta.task", "meta.status", "meta.reason", *params}
    wanted |= {"meta.sweep"} if len(request.sweeps) > 1 else set()
    return [name for name in found.columns if name in wanted or name.startswith("metric.")]


def _close(console: Console, request: Request, found: Answer, *, may_lack: bool = False) -> ExitCode:
    """Say how many rows there were, and which columns came too late for what may lack some."""
    tally, query = found.tally, request.query
    words = plural(tally.told, "row")
    if query.limit is not None and tally.told == query.limit:
        words += ", as many as --limit allows"
    elif query.where:
        words += f" of {tally.seen:,}"
    console.say((words, Tone.DIM))
    if not (may_lack and tally.late) or query.fields:
        return ExitCode.FINE
    first = ", ".join(f"{name} ({task})" for name, task in sorted(tally.late.items())[:6])
    console.warn(
        f"columns that came after the first rows had been written are missing: {first}",
        "name them with `--fields`, or write to a file with `-o`, which looks at all rows first",
    )
    return ExitCode.BAD_OUTCOME


# For programs


def _lines(console: Console, request: Request) -> ExitCode:
    found = _answer(request, whole=request.output is not None and request.form == "csv")
    is_csv = request.form == "csv"
    texts = _csv(found) if is_csv else _jsonl(found)
    if request.output is not None:
        with whole_file(request.output) as part, part.open("w", encoding="utf-8", newline="") as file:
            file.writelines(texts)
    else:
        _stream(console, texts)
    return _close(console, request, found, may_lack=is_csv)


def _stream(console: Console, texts: Iterable[str]) -> None:
    """Write texts to stdout, the first at once; to a terminal without what it might obey."""
    for number, text in enumerate(texts):
        if console.is_data_on_terminal:
            console.data(text.removesuffix("\n"))
        else:
            console.raw(text)
        if number % FLUSHED_ROWS < 2:
            console.flush()


def _csv(found: Answer) -> Iterator[str]:
    from hsm.results import csv_text

    columns = found.fields or found.columns
    yield csv_text.header(columns)
    for row in found.rows:
        yield csv_text.line(row, columns)


def _jsonl(found: Answer) -> Iterator[str]:
    for row in found.rows:
        shown = {name: row.get(name) for name in found.fields} if found.fields else row
        yield json.dumps(shown, allow_nan=False) + "\n"


def _json(console: Console, request: Request) -> ExitCode:
    found = _answer(request, whole=True)
    columns = found.fields or found.columns
    data = {
        "sweeps": [tree.sweep_id for tree, _ in request.sweeps],
        "columns": columns,
        "rows": [{name: row.get(name) for name in columns} for row in found.rows],
    }
    if request.output is None:
        console.envelope("results", data)
        return ExitCode.FINE
    with whole_file(request.output) as part:
        text = json.dumps({"hsm": VERSION, "kind": "results", "data": data}, allow_nan=False)
        part.write_text(text + "\n", encoding="utf-8")
    return _close(console, request, found)


def _parquet(console: Console, request: Request) -> ExitCode:
    from hsm.results import frames

    found = _answer(request, whole=True)
    columns = found.fields or found.columns
    kept = list(found.rows)
    with whole_file(request.output or Path("results.parquet")) as part:
        frames.write_parquet({name: [row.get(name) for row in kept] for name in columns}, part)
    return _close(console, request, found)
