"""Plans: the proposals of one generation as a content-addressed file, one task per line.

A million tasks cost the ledger one record. A plan is durable before the ledger names it, and is never
asked for again.
"""

from __future__ import annotations

import hashlib
import json
import re
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from hsm.core.errors import Fenced, LedgerCorrupt
from hsm.core.events import GenerationPlanned
from hsm.core.layout import Layout
from hsm.core.model import Proposal, Task
from hsm.wire import hashing
from hsm.wire.canonical import canonical_json
from hsm.wire.files import Files, write_all

BUFFER_LINES = 2000
_DRAFT = ".part"
_TASKS = Layout(Task)
_RECEIVED = Task(index=0, config_hash="", task_key="", params_json="")


def write_plan(
    files: Files, plans: Path, proposals: Iterable[Proposal], program_digest: str, *, epoch: int = 0
) -> tuple[str, int]:
    """Write the plan of these proposals and return its name (SHA-256) and its number of tasks.

    Engines that do not know yet that a newer one drives the sweep may plan at the same time, so each has a
    draft of its own; a newer engine removes those of older ones.

    Raises:
        NotCanonical: a proposal holds a value that JSON cannot say.
        Fenced: an engine of a newer epoch has removed the draft.
        OSError: it cannot be written; no plan of this name exists.
    """
    remove_drafts(files, plans, epoch)
    part = plans / f"{epoch:06d}{_DRAFT}"
    sha, count, buffer = hashlib.sha256(), 0, bytearray()
    fd = files.create(str(part))
    try:
        for proposal in proposals:
            line = _line(proposal, program_digest)
            sha.update(line)
            buffer += line
            count += 1
            if count % BUFFER_LINES == 0:
                write_all(files, fd, bytes(buffer))
                buffer.clear()
        write_all(files, fd, bytes(buffer))
        files.datasync(fd)
    finally:
        files.close(fd)
    name = sha.hexdigest()
    try:
        files.rename(str(part), str(plans / f"{name}.jsonl"))
    except FileNotFoundError as error:
        raise Fenced(
            "another engine took this sweep over while a generation was planned",
            hint="nothing is lost: it goes on from here; `hsm monitor watch` shows it",
        ) from error
    files.sync_directory(str(plans))
    return name, count


def remove_drafts(files: Files, plans: Path, epoch: int) -> None:
    """Remove the plans that engines up to an epoch have begun to write and not ended."""
    for name in files.list(str(plans)):
        number, is_draft, _ = name.partition(_DRAFT)
        if is_draft and number.isdecimal() and int(number) <= epoch:
            files.remove(str(plans / name))


def _line(proposal: Proposal, program_digest: str) -> bytes:
    params = canonical_json(dict(proposal.params))
    config_hash = hashing.config_hash_of_json(params)
    record = {
        "config_hash": config_hash,
        "task_key": hashing.task_key(config_hash, proposal.seed, program_digest),
        "seed": proposal.seed,
        "label": proposal.label,
    }
    text = json.dumps(record, separators=(",", ":"))
    return f'{text[:-1]},"params":{params}}}\n'.encode()


class Plan:
    """A plan as it lies on disk, in memory: its tasks are made when they are looked at."""

    __slots__ = ("_data", "_ends", "name")

    def __init__(self, name: str, data: bytes) -> None:
        self.name = name
        self._data = data
        self._ends = array("Q", [0])
        self._ends.extend(found.end() for found in _LINE_END.finditer(data))
        if data and self._ends[-1] != len(data):
            raise ValueError("its last line is cut short")

    def __len__(self) -> int:
        return len(self._ends) - 1

    def _line(self, position: int) -> bytes:
        return self._data[self._ends[position] : self._ends[position + 1]]

    def task(self, position: int, *, generation: int, first: int) -> Task:
        """Return the task on a line, counted from 0, as received; `first` is the index of the first."""
        return _task(self._line(position), generation, first + position)

    def keys(self) -> Iterator[bytes]:
        """Yield what identifies the work of each task, in order."""
        for position in range(len(self)):
            line = self._line(position)
            start = line.index(_KEY) + len(_KEY)
            yield line[start : line.index(b'"', start)]


_LINE_END = re.compile(rb"\n")
_KEY = b'"task_key":"'


def load_plan(files: Files, plans: Path, name: str, *, generation: int) -> Plan:
    """Return a plan, after checking every byte of it.

    Raises:
        LedgerCorrupt: the plan is missing or its content is not what its name says.
    """
    path = plans / f"{name}.jsonl"
    data = files.read(str(path), 0)
    if hashlib.sha256(data).hexdigest() != name:
        if not data and not files.exists(str(path)):
            raise LedgerCorrupt(f"{path}: the plan of generation {generation} is missing")
        raise LedgerCorrupt(f"{path}: its content is not what its name says")
    try:
        return Plan(name, data)
    except ValueError as error:
        raise LedgerCorrupt(f"{path}: damaged: {error}") from error


def read_plan(files: Files, plans: Path, name: str, *, generation: int, first: int) -> Iterator[Task]:
    """Yield the tasks of a plan, as received.

    Raises:
        LedgerCorrupt: the plan is missing or its content is not what its name says.
    """
    path = plans / f"{name}.jsonl"
    sha = hashlib.sha256()
    try:
        for position, line in enumerate(_lines(files, path)):
            sha.update(line)
            yield _task(line, generation, first + position)
    except FileNotFoundError as error:
        raise LedgerCorrupt(f"{path}: the plan of generation {generation} is missing") from error
    except (ValueError, KeyError) as error:
        raise LedgerCorrupt(f"{path}: damaged: {error}") from error
    if sha.hexdigest() != name:
        raise LedgerCorrupt(f"{path}: its content is not what its name says")


def _lines(files: Files, path: Path) -> Iterator[bytes]:
    """Yield the lines of a file with their ends."""
    rest = b""
    for block in files.chunks(str(path)):
        *lines, rest = (rest + block).split(b"\n")
        for line in lines:
            yield line + b"\n"
    if rest:
        yield rest


def _task(line: bytes, generation: int, index: int) -> Task:
    head, mark, params = line.decode("utf-8").rstrip("\n").partition(',"params":')
    if not mark:
        raise ValueError("a line without parameters")
    record = json.loads(head + "}")
    told = {
        "index": index,
        "config_hash": record["config_hash"],
        "task_key": record["task_key"],
        "params_json": params[:-1],
        "seed": record["seed"],
        "generation": generation,
        "label": record["label"],
    }
    return _TASKS.replace(_RECEIVED, told)


def read_tasks(
    files: Files, plans: Path, event: GenerationPlanned, indices: Collection[int]
) -> Mapping[int, Task]:
    """Return those of the tasks that are of this plan, as received, without making the others.

    Raises:
        LedgerCorrupt: the plan is missing or its content is not what its name says.
    """
    wanted = [index for index in indices if event.first <= index < event.first + event.count]
    if not wanted:
        return {}
    plan = load_plan(files, plans, event.plan, generation=event.generation)
    return {
        index: plan.task(index - event.first, generation=event.generation, first=event.first)
        for index in wanted
    }
