"""The section `analyses`: programs that look at each result, written out here or installed."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hsm.config import program, retries
from hsm.config.kinds import Unfit, form, integer, seconds, text
from hsm.config.section import Section
from hsm.config.tree import Node, Place, Report, graft, overlaid
from hsm.config.units import render_duration
from hsm.config.words import did_you_mean, listed, shown
from hsm.core.analyses import PLACEHOLDERS
from hsm.core.plugins import Plugin, plugins
from hsm.core.spec import AnalysisSpec, Value
from hsm.core.states import Cause
from hsm.core.template import Field, TemplateError, parse_template

GROUP = "hsm.analyses"
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_NAME_FORM = "1 to 32 small letters, digits and '-', a letter or digit first"
KEYS = ("command", "shell", "files", "variables", "artifact", "slots", "timeout", "retry")
EXAMPLE = 'command: [python, "{project}/look.py", "{artifact}"]'
MAX_SLOTS = 1000


def read_analyses(section: Section) -> tuple[AnalysisSpec, ...]:
    """Return the analyses of a sweep file; one without a command is an installed one of its name."""
    read = []
    for name, node in section.nodes.items():
        if not NAME.fullmatch(name):
            section.note(node.key_place, f"{section.name(name)}: expected {_NAME_FORM}")
        written = Node(node.place, {}, key=node.key) if node.value is None else node
        if isinstance(written.value, dict) and "command" not in written.value:
            written = _with_installed(section, name, written)
        read.append(read_analysis(Section(written, section.below(name), section.report), name))
    return tuple(read)


def _with_installed(section: Section, name: str, node: Node) -> Node:
    """Return what is written of an installed analysis over what its distribution says of it."""
    known = per_result()
    plugin = known.get(name)
    if plugin is None:
        hint = did_you_mean(name, known) or f"give it a command, such as `{EXAMPLE}`"
        also = f"; installed: {listed(known, 'and')}" if known else ""
        section.note(node.key_place, f"no analysis {section.name(name)} is installed{also}", hint)
        return overlaid(node, graft({"command": ["?"], "artifact": "?"}, node.place))
    return overlaid(node, graft(plugin, node.key_place))


def per_result() -> Mapping[str, Mapping[str, Value]]:
    """Return what is installed of analyses of each result: what is said of each, by its name.

    Raises:
        PluginError: one that is offered cannot be loaded.
    """
    loaded = {plugin.name: _loaded(plugin) for plugin in plugins(GROUP) if plugin.name}
    return {name: content for name, content in loaded.items() if isinstance(content, Mapping)}


def _loaded(plugin: Plugin) -> Mapping[str, Value] | Callable[..., Any]:
    content = plugin.load()
    if not isinstance(content, Mapping) and not callable(content):
        raise plugin.broken("it is neither a mapping nor a function")
    found: Mapping[str, Value] | Callable[..., Any] = content
    return found


def installed(name: str, content: Mapping[str, Value]) -> AnalysisSpec:
    """Return an installed analysis as its distribution describes it.

    Raises:
        ConfigError: what it says cannot be used.
    """
    report = Report()
    found = read_analysis(Section(graft(content, Place(f"the analysis {name}")), name, report), name)
    report.check()
    return found


def read_analysis(section: Section, name: str) -> AnalysisSpec:
    """Return one analysis."""
    section.only(KEYS)
    retry = section.section("retry")
    for cause, node in retry.nodes.items():
        if isinstance(node.value, dict):
            section.note(
                node.place, f"{retry.name(cause)}: the limits of an analysis do not grow", "a number"
            )
    runs = program.read_command(section)
    _check_placeholders(section, runs.command)
    return AnalysisSpec(
        name=name,
        program=runs,
        artifact=section.need("artifact", _pattern, "?", "artifact: results/*.h5"),
        slots=section.read("slots", integer(1, MAX_SLOTS), 1),
        timeout_s=section.read("timeout", seconds, None),
        retry=retries.read_retry(retry),
    )


@form(type="string", minLength=1)
def _pattern(node: Node) -> str:
    value = text(node)
    if value.startswith("/") or ".." in value.split("/"):
        raise Unfit("a pattern of paths in a result's directory", "for example results/*.h5")
    return value


def _check_placeholders(section: Section, command: tuple[str, ...]) -> None:
    node = section.nodes.get("command")
    for word in command if node is not None else ():
        try:
            fields = [part for part in parse_template(word) if isinstance(part, Field)]
        except TemplateError as error:
            section.note(
                node.place if node else section.place,
                f"{section.name('command')}: {error.message}",
                error.hint,
            )
            continue
        for field in fields:
            if field.name not in PLACEHOLDERS:
                where = f"{section.name('command')}: column {field.column} of {shown(word)}"
                hint = did_you_mean(field.name, PLACEHOLDERS) or f"known: {listed(PLACEHOLDERS, 'and')}"
                place = node.place if node else section.place
                section.note(place, f"{where}: an analysis has no {{{field.name}}}", hint)


def document_of(analysis: AnalysisSpec) -> dict[str, Value]:
    """Return the plain mapping that describes an analysis completely."""
    runs = analysis.program
    document: dict[str, Value] = {
        "command": runs.command[0] if runs.shell else list(runs.command),
        "shell": runs.shell,
        "files": list(runs.files),
        "variables": dict(runs.variables),
        "artifact": analysis.artifact,
        "slots": analysis.slots,
        "retry": {cause.value: times for cause, times in analysis.retry.items() if cause is not Cause.BATCH},
    }
    if analysis.timeout_s is not None:
        document["timeout"] = render_duration(analysis.timeout_s)
    return document
