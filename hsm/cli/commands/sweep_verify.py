"""`hsm sweep verify`: read the sealed files of a sweep again, and compare them with its ledger."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hsm.cli import forms, options, tables, words
from hsm.cli.console import Console, Line, Span, Tone, line
from hsm.cli.workspace import Workspace
from hsm.core.analyses import inner_trees, key_of
from hsm.core.errors import EngineRunning, ExitCode, LedgerError, SweepError
from hsm.wire.names import task_id

if TYPE_CHECKING:
    from hsm.core.spec import SweepSpec
    from hsm.core.tracker import SweepTracker
    from hsm.core.tree import SweepTree
    from hsm.core.verification import Scope, Survey, Verification

TELL_S = 2.0
"""So often the progress is told."""
_SHARE = re.compile(r"(\d+(?:\.\d+)?) ?%", re.ASCII)
_PART = re.compile(r"(\d{1,6})/(\d{1,6})", re.ASCII)


class Share(click.ParamType[float]):
    """A share of the results, such as 5%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return it as a fraction."""
        found = _SHARE.fullmatch(str(value))
        if found is None or not 0 < float(found[1]) <= 100:
            self.fail(f"{value!r} is not a share: write it as 5%", param, ctx)
        return float(found[1]) / 100


class Part(click.ParamType[tuple[int, int]]):
    """One of several parts, such as 3/10."""

    name = "part"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Return number and count."""
        found = _PART.fullmatch(str(value))
        if found is None or not 1 <= int(found[1]) <= int(found[2]):
            self.fail(f"{value!r} is not a part: write the third of ten as 3/10", param, ctx)
        return int(found[1]), int(found[2])


@forms.command(
    "sweep verify last",
    "sweep verify heat-20260102 --sample 5%",
    "sweep verify last --part 3/10 --json",
    "sweep verify last --head",
)
@options.sweep
@click.option("--all", "everything", is_flag=True, help="Read all of it, which is the default.")
@click.option("--sample", type=Share(), metavar="SHARE", help="Read a random share only: 5%.")
@click.option("--part", type=Part(), metavar="N/M", help="Read the Nth of M parts: a part each night.")
@click.option("--head", is_flag=True, help="Check SEAL.json only, and print the line to publish.")
@options.outputs
@options.quiet
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    reference: str,
    everything: bool,
    sample: float | None,
    part: tuple[int, int] | None,
    head: bool,
    outputs: Path | None,
) -> ExitCode:
    """Read the files of sealed results and failures again, and compare every byte with the ledger.

    Of the sweep's analyses, too. Nothing is changed in them, whatever is found. An engine may be at work
    meanwhile.
    """
    if sum((everything, sample is not None, part is not None, head)) > 1:
        raise click.UsageError("--all, --sample, --part and --head exclude each other")
    from hsm.core.verification import Scope

    space = Workspace.here(outputs)
    tree = space.find(reference)
    if head:
        return _head(console, space, tree)
    number, of = part or (1, 1)
    scope = Scope(share=sample or 1.0, part=number, of=of)
    return _verify(console, space, tree, scope)


def _verify(console: Console, space: Workspace, tree: SweepTree, scope: Scope) -> ExitCode:
    """Read a sweep and each of its analyses, and tell what was found."""
    try:
        reading = _Reading(console, space, tree)
        reading.run(scope)
        inner = [_Reading(console, space, each) for each in inner_trees(space.world.files, tree)]
        for one in inner:
            one.run(scope)
    finally:
        space.world.close()
    is_sound = all(one.is_sound for one in (reading, *inner))
    if console.as_json:
        record = {"sweep_id": tree.sweep_id, **reading.record, "is_sound": is_sound}
        record["analyses"] = {one.name: one.record for one in inner}
        console.envelope("sweep.verification", record)
    return ExitCode.FINE if is_sound else ExitCode.BAD_OUTCOME


def _survey(space: Workspace, tree: SweepTree, spec: SweepSpec) -> Survey:
    from hsm.core.verification import survey

    return survey(space.world.files, tree, spec)


def _head(console: Console, space: Workspace, tree: SweepTree) -> ExitCode:
    from hsm.config import load_frozen
    from hsm.core.seal import check_seal

    found = _survey(space, tree, load_frozen(tree.config))
    seal = check_seal(space.world.files, tree, found.tracker, found.seals)
    if seal.content is None and not seal.faults:
        again = space.command("sweep complete ID", tree)
        raise SweepError(f"{tree.sweep_id} has no seal: it is not over", hint=f"finish it: `{again}`")
    if console.as_json:
        console.envelope("sweep.seal", {"sweep_id": tree.sweep_id, **_seal_record(seal)})
    elif seal.content is not None and not seal.faults:
        console.data(seal.head)
    for fault in seal.faults:
        console.insist(("broken seal: ", Tone.BAD), fault)
    return ExitCode.BAD_OUTCOME if seal.faults else ExitCode.FINE


def _seal_record(seal: Any) -> Mapping[str, object]:
    is_whole = seal.content is not None and not seal.faults
    return {
        "seal": seal.content,
        "seal_faults": list(seal.faults),
        "seal_is_past": seal.is_past,
        "head": seal.head if is_whole else None,
    }


class _Reading:
    """The verification of one sweep as the user sees it; of an analysis it is told which."""

    def __init__(self, console: Console, space: Workspace, tree: SweepTree) -> None:
        self.name = tree.sweep_id
        self.record: Mapping[str, object] = {}
        self.is_sound = False
        self._console = console
        self._space = space
        self._tree = tree
        self._began = self._told = space.world.monotonic()

    def run(self, scope: Scope) -> None:
        """Read, tell what was found, and have the ledger take note of it.

        Raises:
            HsmError: the sweep cannot be read.
        """
        import asyncio

        from hsm.config import load_frozen
        from hsm.core.verification import verify

        world = self._space.world
        self._began = self._told = world.monotonic()
        spec = load_frozen(self._tree.config)
        found = _survey(self._space, self._tree, spec)
        result = asyncio.run(verify(world, self._tree, found, scope, self._tell))
        took_s = world.monotonic() - self._began
        unrecorded = self._note(spec, result)
        about = _about(found.tracker)
        self.is_sound, self.record = result.is_sound, _record(result, took_s, about)
        if not self._console.as_json:
            self._show(result, took_s, about)
        if unrecorded is not None:
            self._console.warn(f"the ledger does not say so: {unrecorded.message}", unrecorded.hint)

    def _tell(self, done: int, total: int, size: int) -> None:
        now = self._space.world.monotonic()
        if now >= self._told + TELL_S:
            self._told = now
            rate = f"{size / (now - self._began) / 1e9:.2f} GB/s"
            self._console.say(f"{done:,} of {total:,} read, {_amount(size)} ({rate})")

    def _note(self, spec: SweepSpec, result: Verification) -> LedgerError | None:
        """Have the ledger take note of what is news; return why it could not."""
        import asyncio

        from hsm.core.verification import record

        try:
            asyncio.run(record(self._space.world, self._tree, spec, result))
        except (EngineRunning, LedgerError) as error:
            return error
        return None

    def _show(self, result: Verification, took_s: float, about: Mapping[int, str]) -> None:
        console = self._console
        if self._tree.analysed is not None:
            console.data(("analysis  ", Tone.DIM), (self.name, Tone.NAME))
        rows = list(_rows(result, about))
        if rows:
            tables.write(console, ("task", ">attempt", "found", "file", "why"), rows)
            console.data()
        for spans in _summary(result, took_s):
            console.data(*spans)
        if any(one.is_result for one in result.damaged):
            again = self._space.command("sweep complete ID --retry corrupt", self._tree)
            console.say(("put the files back from a copy and verify again, or run them again: ", Tone.DIM))
            console.say(f"    {again}")


TONES = {"damaged": Tone.BAD, "missing": Tone.BAD, "extra": Tone.WARN}


def _about(tracker: SweepTracker) -> Mapping[int, str]:
    """Return the tasks whose results the tasks of an analysis are about; of any other sweep, none."""
    if not tracker.spec.follows:
        return {}
    return {task.index: key_of(json.loads(task.params_json))[0] for task in tracker.tasks}


def _rows(result: Verification, about: Mapping[int, str]) -> Iterator[Sequence[str | Span]]:
    for one in result.checked:
        for finding in one.findings:
            kind = (str(finding.kind), TONES[finding.kind])
            name = about.get(one.task, task_id(one.task))
            yield name, str(one.attempt), kind, finding.path, finding.reason


def _summary(result: Verification, took_s: float) -> Iterator[Line]:
    size, files = sum(one.bytes for one in result.checked), sum(one.files for one in result.checked)
    word = ("sound", Tone.GOOD) if result.is_sound else ("damaged", Tone.BAD)
    rate = f" ({size / took_s / 1e9:.2f} GB/s)" if took_s else ""
    amount = f"{len(result.checked):,} of {words.plural(result.sealed, 'sealed attempt')} read"
    yield line(word, f": {amount}, {words.plural(files, 'file')}, {_amount(size)}{rate}")
    if result.damaged:
        yield line(("bad       ", Tone.DIM), words.plural(len(result.damaged), "attempt"))
    seal = result.seal
    for fault in seal.faults:
        yield line(("seal      ", Tone.DIM), (fault, Tone.BAD))
    if seal.content is None and not seal.faults:
        yield line(("seal      ", Tone.DIM), "none yet: the sweep is not over")
    elif not seal.faults:
        said = "of an earlier end, the sweep was opened again since" if seal.is_past else "agrees"
        root = (seal.content or {})["root"]
        yield line(("seal      ", Tone.DIM), f"{said}: root {root[:16]}")


def _amount(size: int) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"


def _record(result: Verification, took_s: float, about: Mapping[int, str]) -> Mapping[str, object]:
    return {
        "is_sound": result.is_sound,
        "sealed": result.sealed,
        "read": len(result.checked),
        "files": sum(one.files for one in result.checked),
        "bytes": sum(one.bytes for one in result.checked),
        "elapsed_s": took_s,
        "damaged": [task_id(one.task) for one in result.damaged],
        "findings": [
            {
                "task_id": task_id(one.task),
                "attempt": one.attempt,
                **({"analysed": about[one.task]} if one.task in about else {}),
                "is_result": one.is_result,
                "kind": finding.kind,
                "path": finding.path,
                "reason": finding.reason,
            }
            for one in result.checked
            for finding in one.findings
        ],
        **_seal_record(result.seal),
    }
