"""The `program:` section: the command, how parameters reach it, and its environment variables."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace

from hsm.config.batches import read_batch
from hsm.config.kinds import VARIABLE_NAME, Unfit, as_written, flag, form, text, word_of
from hsm.config.section import Section
from hsm.config.tree import Node
from hsm.config.words import did_you_mean, listed, shown
from hsm.core.spec import LEAVE_OUT, ArgumentStyle, ProgramSpec, Value
from hsm.core.template import RESERVED, Field, TemplateError, find_value, parse_template

KEYS = ("command", "shell", "arguments", "files", "variables", "batch")
EXAMPLE = 'command: [python, "{project}/run.py", "--k={k}"]'


def read_program(section: Section) -> ProgramSpec:
    """Return the program, without checking its placeholders against the parameters."""
    section.only(KEYS)
    found = read_command(section)
    shell = found.shell
    arguments = section.read("arguments", word_of(ArgumentStyle), ArgumentStyle.TEMPLATE)
    if shell and arguments is ArgumentStyle.HYDRA:
        node = section.nodes["arguments"]
        section.note(
            node.place, "`arguments: hydra` cannot be joined with `shell: true`", "give the command as a list"
        )
    return replace(found, arguments=arguments, batch=read_batch(section))


def read_command(section: Section) -> ProgramSpec:
    """Return what a section says of a program that takes its arguments from its template alone."""
    shell = section.read("shell", flag, default=False)
    return ProgramSpec(
        command=_command(section, shell=shell),
        shell=shell,
        files=section.texts("files", _project_glob),
        variables=variables(section),
    )


def variables(section: Section) -> dict[str, str]:
    """Return the environment variables of a section; those that HSM sets itself are refused."""
    read = section.variables("variables", VARIABLE_NAME, "the name of an environment variable", as_written)
    for name in read:
        if name.startswith("HSM_"):
            node = section.section("variables").nodes[name]
            message = f"{section.name(f'variables.{name}')}: names in HSM_ are set by HSM"
            section.note(node.key_place, message, "choose another name")
    return read


@form(type="string")
def _project_glob(node: Node) -> str:
    value = text(node)
    inside = value.removeprefix(LEAVE_OUT)
    if inside.startswith("/") or ".." in inside.split("/"):
        raise Unfit("a path or glob inside the project", "paths are relative to the project")
    return value


def _command(section: Section, *, shell: bool) -> tuple[str, ...]:
    node = section.nodes.get("command")
    if node is None:
        section.missing(f"{section.name('command')} is missing", f"for example `{EXAMPLE}`")
        return ()
    if shell:
        line = section.take(node, section.name("command"), _shell_line, "")
        return (line,)
    words = _split(section, node) if isinstance(node.value, str) else _listed(section, node)
    if not words or not words[0]:
        section.note(
            node.place, f"{section.name('command')} is {shown(node.plain())}; expected a program", EXAMPLE
        )
    return words


@form(type="string")
def _shell_line(node: Node) -> str:
    if isinstance(node.value, tuple):
        raise Unfit("one line of text, because of `shell: true`", "join the words, or drop `shell: true`")
    return text(node)


def _split(section: Section, node: Node) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(str(node.value)))
    except ValueError as error:
        message = f"{section.name('command')} is {shown(node.value)}; it cannot be split into words: {error}"
        section.note(
            node.place, message.replace("No", "no"), "close the quote, or write the command as a list"
        )
        return ("",)


def _listed(section: Section, node: Node) -> tuple[str, ...]:
    if not isinstance(node.value, tuple):
        message = f"{section.name('command')} is {shown(node.plain())}; expected a list of words, or text"
        section.note(node.place, message, "quote words that begin with '{'")
        return ("?",)
    name = section.name("command")
    return tuple(section.take(item, f"{name}[{i}]", as_written, "?") for i, item in enumerate(node.value))


def check_placeholders(section: Section, program: ProgramSpec, examples: Mapping[str, Value]) -> None:
    """Note every placeholder that is neither a parameter nor reserved.

    `examples` holds one value of each parameter, so that a nested name can be looked up.
    """
    node = section.nodes.get("command")
    if node is None:
        return
    places = node.value if isinstance(node.value, tuple) and len(node.value) == len(program.command) else ()
    for index, word in enumerate(program.command):
        place = places[index].place if places else node.place
        try:
            fields = [part for part in parse_template(word) if isinstance(part, Field)]
        except TemplateError as error:
            message = f"{section.name('command')}: column {error.column} of {shown(word)}: {error.message}"
            section.note(place, message, error.hint)
            continue
        for field in fields:
            message, hint = _fault(field, examples)
            if message:
                where = f"{section.name('command')}: column {field.column} of {shown(word)}"
                section.note(place, f"{where}: {message}", hint)


def _fault(field: Field, examples: Mapping[str, Value]) -> tuple[str, str]:
    known = find_value(field.name, examples)[0]
    if field.name in RESERVED:
        if field.name not in examples:
            return "", ""
        hint = f"rename the parameter (`{field.name}_value`)"
        if field.name == "seed":
            hint += ", or use `sweep.seeds` for replicates"
        return f"{{{field.name}}} is filled in by HSM, and a parameter has the same name", hint
    if known:
        return "", ""
    names = _names(examples)
    return f"{{{field.name}}} is not a parameter", did_you_mean(
        field.name, names
    ) or f"known: {listed(names, 'and')}"


def _names(examples: Mapping[str, Value]) -> list[str]:
    return [*examples, *RESERVED]
