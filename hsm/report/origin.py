"""Where the results come from, and how to get them again: commands, digests, versions, machines."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence

from hsm.core.spec import SourceSpec, Value
from hsm.report.html import Markup, code, join, note, section, short, table, tag
from hsm.report.text import count, moment, plain, redact, redact_named, shorten
from hsm.report.view import ReportView

ROWS = 120
VALUE = 160
DEPTH = 8
COMMAND = 4_000


def reproduce(view: ReportView) -> Markup:
    """Return the section with the exact commands and the facts that a repetition must agree on."""
    facts = dict(flat(view.metadata))
    commands = [
        ("The command that made this sweep", _original(view.metadata)),
        ("The same code", _checkout(facts)),
        ("The same sweep again, in full", _again(view)),
    ]
    blocks = [
        join(tag("h3", head), tag("pre", shorten(command, COMMAND), tabindex="0"))
        for head, command in commands
        if command
    ]
    return section(
        "reproduce", "How to reproduce", _dirty(facts), *blocks, _program(view), _facts(view, facts)
    )


def provenance(view: ReportView) -> Markup:
    """Return everything that was recorded about code and machine when the sweep was made."""
    rows = list(flat(view.metadata))
    if not rows:
        return section("provenance", "Provenance", note("sweep_metadata.yaml is missing or empty."))
    body = [
        tag("tr", short(name, 60, "th"), short(redact_named(name, value), VALUE, "td"))
        for name, value in rows[:ROWS]
    ]
    more = (
        note(f"{count(len(rows) - ROWS, 'more entry', 'more entries')} in sweep_metadata.yaml.")
        if rows[ROWS:]
        else None
    )
    each = note("Each task has a report of its own: ", code("tasks/<task>/provenance.json"), ".")
    return section("provenance", "Provenance", table([], body, label="Metadata of the sweep"), more, each)


def flat(metadata: Mapping[str, Value], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield nested metadata as dotted names and values, in the order of the file."""
    for name, value in metadata.items():
        if isinstance(value, Mapping) and depth < DEPTH:
            yield from flat(value, f"{prefix}{name}.", depth + 1)
        elif value is not None:
            yield f"{prefix}{name}", plain(value)


def _original(metadata: Mapping[str, Value]) -> str:
    command = metadata.get("command")
    if isinstance(command, str):
        return redact(command)
    if isinstance(command, Sequence):
        return redact(shlex.join(plain(word) for word in command))
    return ""


def _checkout(facts: Mapping[str, str]) -> str:
    commit = facts.get("git.commit", "")
    return f"git checkout {shlex.quote(commit)}" if commit else ""


def _dirty(facts: Mapping[str, str]) -> Markup | None:
    if facts.get("git.dirty") != "true":
        return None
    words = (
        "The working tree had changes that were not committed: the commit alone does not give this code back."
    )
    return tag("p", tag("b", "Careful."), f" {words}", class_="call")


def _again(view: ReportView) -> str:
    words = ["hsm", "sweep", "run", f"sweeps/outputs/{view.sweep_id}/sweep_config.yaml", "--new"]
    return shlex.join(
        [*words, *(word for source in view.spec.sources for word in ("--source", _source(source)))]
    )


def _source(source: SourceSpec) -> str:
    return source.name if source.slots is None else f"{source.name}:{source.slots}"


def _program(view: ReportView) -> Markup:
    template = code(shorten(shlex.join(view.spec.program.command), COMMAND))
    return note("Each task runs ", template, " with the parameters of its ", code("params.yaml"), ".")


def _facts(view: ReportView, facts: Mapping[str, str]) -> Markup:
    hunt = view.spec.hunt
    pairs = [
        ("configuration digest", view.spec.config_digest or "not known"),
        ("seed of the hunt", str(hunt.seed) if hunt else ""),
        ("seeds of each set", f"0 to {view.spec.seeds - 1}" if view.spec.seeds > 1 else "0"),
        ("hsm", facts.get("hsm", "")),
        ("python", facts.get("python", "")),
        ("platform", facts.get("platform", "")),
        ("hosts", ", ".join(view.hosts)),
        ("git commit", _commit(facts)),
        ("program digest", facts.get("program_digest", "")),
        ("started", moment(view.started_at)),
        ("ended", moment(view.ended_at)),
    ]
    items = [tag("div", tag("dt", name), short(redact(value), VALUE, "dd")) for name, value in pairs if value]
    return join(tag("h3", "What must agree"), tag("dl", *items, class_="pairs wide-pairs"))


def _commit(facts: Mapping[str, str]) -> str:
    commit = facts.get("git.commit")
    if not commit:
        return "not under git, or not known"
    state = {"true": ", with uncommitted changes", "false": ", clean"}.get(facts.get("git.dirty", ""), "")
    branch = f" on {facts['git.branch']}" if "git.branch" in facts else ""
    return f"{commit}{branch}{state}"
