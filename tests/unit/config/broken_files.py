"""Broken sweep files: each with the place, a part of the message and a part of the fix it must get."""

from __future__ import annotations

from dataclasses import dataclass

HEAD = """\
name: heat
program:
  command: [python, run.py, "--k={k}"]
"""


@dataclass(frozen=True)
class Broken:
    """A file and what must be said about it."""

    label: str
    text: str
    where: str
    message: str
    hint: str


def swept(tail: str) -> str:
    """Return a file that is right but for its tail, which begins in line 6."""
    return f"{HEAD}sweep:\n  grid: {{k: [0.1, 0.2]}}\n{tail}"


def gridded(grid: str) -> str:
    """Return a file with this grid, which begins in line 5, column 9."""
    return f"{HEAD}sweep:\n  grid: {grid}\n"


def hunted(space: str, objective: str = "{metric: pcs}") -> str:
    """Return a hunt with this space in line 8, column 10."""
    return (
        f"{HEAD}hunt:\n  hunter: random\n  generations: 2\n  population: 3\n"
        f"  space: {space}\n  objective: {objective}\n"
    )


BROKEN = [
    Broken(
        "unknown key",
        swept("resorces: {cpus: 1}\n"),
        ":6:1",
        "unknown key `resorces`",
        "did you mean `resources`?",
    ),
    Broken(
        "key of another section",
        swept("cpus: 2\n"),
        ":6:1",
        "unknown key `cpus`",
        "it belongs in `resources`",
    ),
    Broken("look-alike key", swept("n\u0430me: x\n"), ":6:1", "`n\\u0430me`", "did you mean `name`?"),
    Broken("integer as text", swept("resources:\n  cpus: two\n"), ":7:9", '`resources.cpus` is "two"', ""),
    Broken(
        "float for integer", swept("resources: {cpus: 2.0}\n"), ":6:19", "is 2.0; expected a whole", "write 2"
    ),
    Broken(
        "zero cpus",
        swept("resources: {cpus: 0}\n"),
        ":6:19",
        "is 0; expected a whole number of at least 1",
        "",
    ),
    Broken(
        "size without unit",
        swept("resources: {memory: 1024}\n"),
        ":6:21",
        "is 1024; expected a size",
        "1024MiB",
    ),
    Broken("size with half a unit", swept("resources: {memory: 4G}\n"), ":6:21", '"4G"', "4GiB"),
    Broken("duration without unit", swept("timeout: 600\n"), ":6:10", "`timeout` is 600", "600s or 600m"),
    Broken("duration of two parts", swept("timeout: 1:30\n"), ":6:10", '"1:30"', "1m30s or 1h30m"),
    Broken("duration zero", swept("timeout: 0s\n"), ":6:10", '"0s"; expected a duration', ""),
    Broken(
        "rate out of range",
        swept("max_failure_rate: 50\n"),
        ":6:19",
        "is 50; expected a number above 0",
        "0.5",
    ),
    Broken(
        "retry of an unknown cause",
        swept("retry: {nodes: 3}\n"),
        ":6:9",
        "`retry.nodes`",
        "did you mean `node`?",
    ),
    Broken(
        "a limit that is not there cannot grow",
        swept("retry: {memory: {times: 2, grow: 2.0}}\n"),
        ":6:9",
        "`retry.memory` has nothing to grow",
        "set `resources.memory`",
    ),
    Broken(
        "growth that is none",
        swept("retry: {time: {times: 2, grow: 1}}\ntimeout: 5m\n"),
        ":6:32",
        "expected a number above 1",
        "twice as much is 2",
    ),
    Broken(
        "growth up to less",
        swept("retry: {time: {times: 2, up_to: 1m}}\ntimeout: 5m\n"),
        ":6:33",
        "`retry.time.up_to` is less than what a first attempt is given",
        "raise it, or lower `timeout`",
    ),
    Broken(
        "a rule of growth without times",
        swept("retry: {time: {grow: 3}}\ntimeout: 5m\n"),
        ":6:9",
        "`retry.time.times` is missing",
        "times: 2",
    ),
    Broken("growth of another cause", swept("retry: {node: {times: 2}}\n"), ":6:15", "`retry.node`", ""),
    Broken("negative retry", swept("retry: {node: -1}\n"), ":6:15", "`retry.node` is -1", ""),
    Broken(
        "source misspelt",
        swept("sources: [lokal:4]\n"),
        ":6:11",
        '"lokal:4" is not a source',
        "did you mean `local`?",
    ),
    Broken("source alone", swept("sources: local:4\n"), ":6:10", "expected a list", "write [local:4]"),
    Broken(
        "source twice",
        swept("sources: [local:1, local:2]\n"),
        ":6:20",
        "`local` stands twice",
        "give it once",
    ),
    Broken(
        "host with options",
        swept("sources: ['ssh:-oProxyCommand=x']\n"),
        ":6:11",
        "host name",
        "~/.ssh/config",
    ),
    Broken(
        "yes for true",
        HEAD + "  shell: yes\nsweep: {}\n",
        ":4:10",
        '"yes"; expected true or false',
        "write true",
    ),
    Broken(
        "argument style", HEAD + "  arguments: hydrra\nsweep: {}\n", ":4:14", "template or hydra", "`hydra`?"
    ),
    Broken("bad name", "name: My Sweep\n", ":1:7", '`name` is "My Sweep"', "for example `my-sweep`"),
    Broken("name that climbs", "name: ../../etc\n", ":1:7", '`name` is "../../etc"', "for example `etc`"),
    Broken("name like an option", "name: -rf\n", ":1:7", '`name` is "-rf"', "for example `rf`"),
    Broken("no program", "name: x\nsweep: {}\n", ":1:1", "`program.command` is missing", "command: [python"),
    Broken("no sweep", "name: x\n", ":1:1", "neither `sweep` nor `hunt`", "for example `sweep:"),
    Broken("sweep and hunt", swept("hunt: {}\n"), ":6:1", "exclude each other", "keep one"),
    Broken(
        "open quote in a command",
        'program: {command: "python \'x"}\n',
        ":1:20",
        "cannot be split",
        "close the quote",
    ),
    Broken(
        "empty command", "program: {command: []}\n", ":1:20", "is []; expected a program", "command: [python"
    ),
    Broken(
        "unquoted placeholder",
        "program:\n  command: [a, {k}]\n",
        ":2:16",
        "expected text or a number",
        "quote",
    ),
    Broken(
        "unknown placeholder", gridded("{kk: [1]}"), ":3:29", "{k} is not a parameter", "did you mean `kk`?"
    ),
    Broken("python format", HEAD.replace("{k}", "{k:.3f}") + "sweep: {}\n", ":3:29", "column 5", "'{{'"),
    Broken(
        "placeholder taken twice",
        "program: {command: ['{seed}']}\nsweep: {grid: {seed: [1]}}\n",
        ":1:21",
        "{seed}",
        "sweep.seeds",
    ),
    Broken(
        "scalar for a list",
        gridded("{k: 0.1}"),
        ":5:13",
        "`sweep.grid.k` is 0.1; expected a list",
        "write [0.1]",
    ),
    Broken("empty list", gridded("{k: []}"), ":5:13", "is []; expected at least one value", "remove the key"),
    Broken(
        "value twice", gridded("{k: [1, 2, 1]}"), ":5:20", "holds 1 twice (values 1 and 3)", "`sweep.seeds`"
    ),
    Broken(
        "parameter name", gridded("{k: [1], 'a b': [1]}"), ":5:18", "`a b` cannot be a parameter's name", ""
    ),
    Broken(
        "unequal pairs",
        swept("  paired: [{g: {a: [1, 2], b: [1]}}]\n"),
        ":6:13",
        "unequal length (a: 2, b: 1)",
        "same number",
    ),
    Broken(
        "pairs without a group",
        swept("  paired: [{a: [1, 2]}]\n"),
        ":6:12",
        "a group's name",
        "paired: [{size:",
    ),
    Broken(
        "name in two axes",
        swept("  paired: [{g: {k: [1, 2]}}]\n"),
        ":6:17",
        "`k` has two meanings",
        "remove one",
    ),
    Broken(
        "constant that is swept", swept("parameters: {k: 1}\n"), ":6:14", "`k` has two meanings", "remove one"
    ),
    Broken(
        "name inside a name", gridded("{k: [1], k.a: [1]}"), ":5:18", "`k.a` clashes with `k`", "remove one"
    ),
    Broken(
        "exclude unknown", swept("  exclude: [{kk: 0.1}]\n"), ":6:14", "no such parameter is swept", "`k`?"
    ),
    Broken(
        "exclude absent value",
        swept("  exclude: [{k: 0.3}]\n"),
        ":6:17",
        "is 0.3, which `k` never is",
        "[0.1, 0.2]",
    ),
    Broken(
        "exclude other type",
        gridded("{k: [1, 2]}") + "  exclude: [{k: 1.0}]\n",
        ":6:17",
        "is 1.0",
        "as there: 1",
    ),
    Broken("no replicates", swept("  seeds: 0\n"), ":6:10", "`sweep.seeds` is 0", ""),
    Broken(
        "too many tasks",
        gridded("{k: [1, 2]}") + "  seeds: 9000000\n",
        ":4:1",
        "18,000,000 tasks (k: 2 × seeds: 9000000)",
        "shorten",
    ),
    Broken(
        "low above high",
        hunted("{k: {low: 3, high: 0}}"),
        ":8:20",
        "is 3.0 and not below `high`, 0.0",
        "swap",
    ),
    Broken(
        "log of zero", hunted("{k: {low: 0, high: 1, log: true}}"), ":8:20", "must be above 0", "drop `log`"
    ),
    Broken(
        "dimension without high",
        hunted("{k: {low: 0}}"),
        ":8:11",
        "`hunt.space.k.high` is missing",
        "choices",
    ),
    Broken("dimension as a list", hunted("{k: [1, 2]}"), ":8:14", "expected a map", "{choices: [1, 2]}"),
    Broken(
        "choices with bounds",
        hunted("{k: {low: 0, choices: [a]}}"),
        ":8:15",
        "cannot stand beside `choices`",
        "keep one",
    ),
    Broken("no choices", hunted("{k: {choices: []}}"), ":8:24", "is []; expected at least one value", ""),
    Broken("integer bounds", hunted("{k: {low: 0.5, high: 3, type: integer}}"), ":8:20", "whole number", ""),
    Broken(
        "objective as text",
        hunted("{k: {low: 0, high: 1}}", "pcs"),
        ":9:14",
        "expected a map",
        "{metric: pcs",
    ),
    Broken(
        "direction",
        hunted("{k: {low: 0, high: 1}}", "{metric: a, direction: max}"),
        ":9:37",
        "maximize or minimize",
        "",
    ),
    Broken("variable of HSM", HEAD + "  variables: {HSM_SEED: 1}\nsweep: {}\n", ":4:15", "set by HSM", ""),
    Broken("files outside", HEAD + "  files: [../x]\nsweep: {}\n", ":4:11", "inside the project", ""),
    Broken(
        "leading zero",
        gridded("{k: [012]}"),
        ":5:14",
        "`012` is 10 to YAML 1.1 and 12 to YAML 1.2",
        "write 12",
    ),
    Broken("underscores", gridded("{k: [1_000]}"), ":5:14", "`1_000`", "write 1000"),
    Broken("binary", gridded("{k: [0b11]}"), ":5:14", "`0b11`", "write 3"),
    Broken("infinity", gridded("{k: [.inf]}"), ":5:14", "not a finite number", "quote it"),
    Broken("not a number", gridded("{k: [.nan]}"), ":5:14", "not a finite number", "quote it"),
    Broken("float too large", gridded("{k: [1e400]}"), ":5:14", "`1e400` is too large", "1.8e308"),
    Broken("float too small", gridded("{k: [1e-400]}"), ":5:14", "`1e-400` is too small", "0.0"),
    Broken(
        "integer too large", gridded("{k: [9223372036854775808]}"), ":5:14", "more than 64 bits", "quotes"
    ),
    Broken(
        "integer of 5000 digits", gridded("{k: [" + "9" * 5000 + "]}"), ":5:14", "more than 64 bits", "quotes"
    ),
    Broken("duplicate key", "name: a\nname: b\n", ":2:1", "`name` stands twice, first in line 1", "keep one"),
    Broken("number as key", gridded("{1: [a]}"), ":5:10", "the key is an integer", "quote it: '1'"),
    Broken("merge key", "a: &a {x: 1}\nb:\n  <<: *a\n", ":3:3", "merge keys", "defaults list"),
    Broken("python tag", "name: !!python/object/apply:os.system [x]\n", ":1:7", "tag", "quote"),
    Broken("custom tag", "name: !include x\n", ":1:7", '"!include"', "quote"),
    Broken("alias into itself", "a: &a [*a]\n", ":1:8", "stands inside what it names", ""),
    Broken("alias of nothing", "a: *b\n", ":1:4", "`b` has no anchor", "quote"),
    Broken("two documents", "name: a\n---\nname: b\n", ":2:1", "a second document", "one document"),
    Broken("NUL by escape", gridded('{k: ["a\\0b"]}'), ":5:14", "NUL", ""),
    Broken(
        "text that is not NFC",
        gridded("{k: [e\u0301]}"),
        ":5:14",
        "normal form C",
        "",
    ),
    Broken("tab", "name: a\nprogram:\n\tcommand: x\n", ":3:1", "not YAML", "blanks, not tabs"),
    Broken("missing colon", "name: a\nprogram\nsweep: {}\n", ":3:1", "not YAML", "colon"),
    Broken("colon inside", "name: a: b\n", ":1:8", "not YAML", "quote"),
    Broken("open bracket", "sweep: {grid: {k: [1, 2}\n", ":1:24", "not YAML", "bracket"),
    Broken("a list for a file", "- a\n- b\n", ":1:1", "the configuration is", ""),
    Broken("escape sequence shown", 'name: "\\e[31m"\n', ":1:7", "\\u001b[31m", ""),
    Broken("direction override shown", "name: a\u202eb\n", ":1:7", "a\\u202eb", ""),
    Broken(
        "call in braces", gridded("{k: range(0, 1)}"), ":5:13", '"range(0"; expected a list', "quote the call"
    ),
    Broken(
        "call in braces, a number behind it",
        gridded("{k: range(0, 1, 0.25), n: [1]}"),
        ":5:22",
        "the key is an integer",
        "quote the call before it",
    ),
    Broken(
        "call of another library",
        swept("  paired: [{g: {m: 'linspace(0, 1, 5)'}}]\n"),
        ":6:20",
        '"linspace(0, 1, 5)"; expected a list',
        "there is no linspace(); there are range(",
    ),
    Broken(
        "name around a name", gridded("{k.a: [1], k: [1]}"), ":5:20", "`k` clashes with `k.a`", "remove one"
    ),
]
