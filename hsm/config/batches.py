"""The `program.batch` section: how many tasks share a process, and in what they must agree."""

from __future__ import annotations

from collections.abc import Mapping

from hsm.config.kinds import integer, text
from hsm.config.section import Section
from hsm.config.words import did_you_mean, key_shown, listed
from hsm.core.spec import ArgumentStyle, BatchSpec, ProgramSpec, Value
from hsm.core.template import Field, TemplateError, parse_template

KEYS = ("size", "by")
MAX_SIZE = 4096
PROJECT = "project"


def read_batch(program: Section) -> BatchSpec | None:
    """Return how tasks share a process, None where each has its own."""
    section = program.section("batch").only(KEYS)
    section.report.require(section.path, "size")
    size = section.read("size", integer(1, MAX_SIZE), None)
    by = section.texts("by", text)
    if "batch" not in program.nodes:
        return None
    if "size" not in section.nodes:
        section.missing(f"{section.name('size')} is missing", "for example `batch: {size: 16}`")
    return BatchSpec(size=size or 1, by=by)


def check_batch(program: Section, found: ProgramSpec, examples: Mapping[str, Value]) -> None:
    """Note what of the program cannot be the same for all tasks of a batch."""
    batch = found.batch
    if batch is None:
        return
    section = program.section("batch")
    for name in batch.by:
        if name not in examples:
            hint = did_you_mean(name, list(examples)) or f"known: {listed(list(examples), 'and')}"
            section.note(
                section.nodes["by"].place, f"{section.name('by')}: {key_shown(name)} is not a parameter", hint
            )
    if found.arguments is ArgumentStyle.HYDRA:
        message = "`arguments: hydra` cannot be joined with `program.batch`: one process serves many tasks"
        program.note(
            program.nodes["arguments"].place, message, "the parameters of each task are told to the process"
        )
    for name in _differing(found, batch):
        message = (
            f"{program.name('command')}: {{{name}}} differs from task to task, and one process serves many"
        )
        hint = "take it out (each task's parameters are told to the process)"
        is_parameter = name.partition(".")[0] in examples or name in examples
        program.note(
            program.nodes["command"].place,
            message,
            f"{hint}, or add it to `batch.by`" if is_parameter else hint,
        )


def _differing(found: ProgramSpec, batch: BatchSpec) -> list[str]:
    """Return the placeholders whose values a batch does not agree in, each once."""
    names: dict[str, None] = {}
    for word in found.command:
        try:
            fields = [part for part in parse_template(word) if isinstance(part, Field)]
        except TemplateError:
            continue  # noted where placeholders are checked
        names.update(
            (field.name, None)
            for field in fields
            if field.name != PROJECT and not {field.name, field.name.partition(".")[0]} & set(batch.by)
        )
    return list(names)
