"""Compute sources as a user names them: `local:4`, `ssh:HOST:8`, `slurm:CLUSTER`, and their environment."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from hsm.config.kinds import Unfit, form, integer, text
from hsm.config.program import variables
from hsm.config.section import Section
from hsm.config.tree import Node
from hsm.config.words import did_you_mean, listed, shown
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import EnvironmentSpec, SourceSpec

KINDS: Mapping[str, str] = {
    "local": "local or local:SLOTS",
    "ssh": "ssh:HOST or ssh:HOST:SLOTS",
    "slurm": "slurm:CLUSTER",
    "pbs": "pbs:CLUSTER",
}
WITH_SLOTS = ("local", "ssh")
MAX_SLOTS = 10_000
ENVIRONMENT_KEYS = ("slots", "python", "venv", "conda", "modules", "setup", "variables", "options")

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?"
_TARGET = re.compile(rf"(?:[a-z_][a-z0-9_-]{{0,31}}@)?{_LABEL}(?:\.{_LABEL})*")
_BRACKETED = re.compile(r"\[([0-9A-Fa-f:.]+)\]")
_SPLIT = re.compile(r"([^:\[]*)(?::(\[[^\]]*\]|[^:]*))?(?::(.*))?", re.DOTALL)
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,127}")


def parse_words(word: str) -> SourceSpec:
    """Return the source that a word names, without any environment.

    Raises:
        ConfigError: the word is not a source.
    """
    match = _SPLIT.fullmatch(word)
    kind, target, slots = match.groups() if match else (word, None, None)
    if kind not in KINDS:
        raise _bad(word, f"expected {listed(KINDS.values())}", did_you_mean(kind, KINDS))
    if kind == "local":
        if slots is not None:
            raise _bad(word, f"expected {KINDS[kind]}")
        return SourceSpec(kind=kind, slots=_slots(word, target))
    if not target:
        raise _bad(word, f"expected {KINDS[kind]}", "name the host or cluster after the colon")
    _check_target(word, target)
    if slots is not None and kind not in WITH_SLOTS:
        raise _bad(word, f"expected {KINDS[kind]}", "a scheduler has no slots; limits belong in its options")
    return SourceSpec(kind=kind, target=target, slots=_slots(word, slots))


def _slots(word: str, digits: str | None) -> int | None:
    if digits is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,4}", digits) or int(digits) > MAX_SLOTS:
        raise _bad(word, f"expected a number of slots from 1 to {MAX_SLOTS}", "for example `local:4`")
    return int(digits)


def _check_target(word: str, target: str) -> None:
    if match := _BRACKETED.fullmatch(target):
        try:
            ipaddress.IPv6Address(match[1])
        except ValueError:
            raise _bad(word, "expected an IPv6 address in the brackets") from None
        return
    host = target.rpartition("@")[2]
    if not _TARGET.fullmatch(target) or len(target) > 253:
        raise _bad(
            word, "expected a host name, an alias of ~/.ssh/config, or user@host", _target_hint(target)
        )
    if any(label.lower().startswith("xn--") for label in host.split(".")):
        raise _bad(
            word, "encoded (punycode) host names are not accepted", "give it an alias in ~/.ssh/config"
        )


def _target_hint(target: str) -> str:
    if target.startswith("-") or " " in target or "//" in target:
        return "ports, jumps and other options belong in ~/.ssh/config"
    return ""


def _bad(word: str, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(where="", message=f"{shown(word)} is not a source: {message}", hint=hint)])


def read_source(
    section: Section, node: Node, name: str, known: Mapping[str, SourceSpec], root: Path
) -> SourceSpec | None:
    """Return one entry of `sources:`: a word, or a map with `source` and its environment."""
    inner = Section(node, section.below(name), section.report) if isinstance(node.value, dict) else None
    word_node = inner.nodes.get("source") if inner else node
    if word_node is None or not isinstance(word_node.value, str):
        message = f"{section.name(name)} is {shown(node.plain())}; expected {listed(KINDS.values())}"
        section.note(node.place, message, "for example `sources: [local:4]`")
        return None
    try:
        source = merged(parse_words(word_node.value), known)
    except ConfigError as error:
        section.note(word_node.place, f"{section.name(name)}: {error.message}", error.hint)
        return None
    if inner is None:
        return source
    return _over(source, read_environment(inner.only(("source", *ENVIRONMENT_KEYS)), source, root))


def merged(source: SourceSpec, known: Mapping[str, SourceSpec]) -> SourceSpec:
    """Return a source with what the project says about it, or its kind; slots given by the user win."""
    base = known.get(source.name) or known.get(source.kind)
    if base is None:
        return source
    return replace(base, target=source.target, slots=source.slots if source.slots is not None else base.slots)


def _over(base: SourceSpec, top: SourceSpec) -> SourceSpec:
    environment = EnvironmentSpec(
        python=top.environment.python or base.environment.python,
        prefix=top.environment.prefix or base.environment.prefix,
        modules=top.environment.modules or base.environment.modules,
        setup=top.environment.setup or base.environment.setup,
        variables={**base.environment.variables, **top.environment.variables},
    )
    slots = top.slots if top.slots is not None else base.slots
    return replace(base, slots=slots, environment=environment, options={**base.options, **top.options})


def read_environment(section: Section, source: SourceSpec, root: Path) -> SourceSpec:
    """Return the source with the environment that a section describes.

    For `local`, relative paths are taken from the project's root; elsewhere they stay as written.
    """
    if "venv" in section.nodes and "conda" in section.nodes:
        section.note(section.nodes["conda"].key_place, f"{section.name('conda')} cannot stand beside `venv`")
    slots = section.read("slots", integer(1, MAX_SLOTS), source.slots)
    if "slots" in section.nodes and source.kind not in WITH_SLOTS:
        section.note(section.nodes["slots"].key_place, f"{section.name('slots')}: a scheduler has no slots")

    def path(key: str) -> str | None:
        value = section.read(key, text, None)
        local = source.kind == "local" and value is not None and ("/" in value or key != "python")
        return str(root / value) if local and value is not None else value

    prefix = section.read("conda", _conda, None)
    environment = EnvironmentSpec(
        python=path("python"),
        prefix=path("venv") if prefix is None else path("conda"),
        modules=section.texts("modules", _module),
        setup=path("setup"),
        variables=variables(section),
    )
    options = {key: node.plain() for key, node in section.section("options").nodes.items()}
    return replace(source, slots=slots, environment=environment, options=options)


@form(type="string")
def _conda(node: Node) -> str:
    value = text(node)
    if "/" not in value:
        raise Unfit("the prefix (a path) of a conda environment", "`conda env list` shows it")
    return value


@form(type="string")
def _module(node: Node) -> str:
    value = text(node)
    if not _MODULE.fullmatch(value):
        raise Unfit("the name of a module, such as gcc/12.2")
    return value
