"""`hsm.yaml`, sources and units."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.config import (
    dump_document,
    duration,
    find_project,
    load_sweep,
    parse_source,
    render_duration,
    render_size,
    size,
)
from hsm.config.load import load_frozen
from hsm.core.errors import ConfigError

PROJECT = """\
outputs: results
sources:
  local: {slots: 3, venv: .venv, setup: env.sh, variables: {A: 1, B: x}}
  ssh:gpu1: {slots: 8, python: python3.12, conda: /opt/conda/envs/x, modules: [gcc/12.2]}
  slurm:hpc: {options: {partition: short}}
"""


def test_the_project_is_found_upwards(tmp_path: Path) -> None:
    """The nearest folder with an hsm.yaml is the root; without one, the start is."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert find_project(tmp_path / "a").root == tmp_path / "a"
    assert find_project(tmp_path / "a").outputs == tmp_path / "a" / "sweeps" / "outputs"
    (tmp_path / "hsm.yaml").write_text(PROJECT)
    project = find_project(tmp_path / "a" / "b")
    assert (project.root, project.outputs) == (tmp_path, tmp_path / "results")


def test_a_source_gets_the_environment_of_the_project(tmp_path: Path) -> None:
    """Slots of the user win over those of the project; local paths start at the root."""
    (tmp_path / "hsm.yaml").write_text(PROJECT)
    project = find_project(tmp_path)
    local = parse_source("local", project)
    assert (local.slots, parse_source("local:1", project).slots) == (3, 1)
    assert local.environment.prefix == str(tmp_path / ".venv")
    assert local.environment.setup == str(tmp_path / "env.sh")
    assert local.environment.variables == {"A": "1", "B": "x"}
    remote = parse_source("ssh:gpu1", project)
    assert (remote.slots, remote.environment.python, remote.environment.modules) == (
        8,
        "python3.12",
        ("gcc/12.2",),
    )
    assert parse_source("slurm:hpc", project).options == {"partition": "short"}
    assert parse_source("ssh:other:2", project).environment.prefix is None


def test_one_ssh_config_holds_for_every_host(tmp_path: Path) -> None:
    """Those that hsm.yaml sets up and others; what a host's own options say is stronger, local has none."""
    (tmp_path / "hsm.yaml").write_text(
        "ssh_config: conf/ssh\nsources: {ssh:a: {slots: 2}, ssh:b: {options: {ssh_config: other}}}\n"
    )
    project = find_project(tmp_path)
    words = ("ssh:a", "ssh:b", "ssh:c:4", "local")
    named = [parse_source(word, project) for word in words]
    assert [spec.options.get("ssh_config") for spec in named] == ["conf/ssh", "other", "conf/ssh", None]
    assert [spec.name for spec in named] == ["ssh:a", "ssh:b", "ssh:c", "local"]
    assert [spec.slots for spec in named] == [2, None, 4, None]
    assert set(project.sources) == {"ssh:a", "ssh:b"}
    project = find_project(tmp_path, {"HSM_SSH_CONFIG": "/elsewhere"})
    assert parse_source("ssh:c", project).options == {"ssh_config": "/elsewhere"}


def test_a_frozen_sweep_needs_no_project(tmp_path: Path) -> None:
    """The environment of each source is frozen with the sweep; a sweep file may add to it."""
    (tmp_path / "hsm.yaml").write_text(PROJECT)
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: a\nprogram: {command: x}\nsweep: {}\n"
        "sources: [slurm:hpc, {source: 'local:2', variables: {B: y, C: z}}, ssh:gpu1]\n"
    )
    spec = load_sweep(path, project=find_project(tmp_path))
    assert spec.sources[1].environment.variables == {"A": "1", "B": "y", "C": "z"}
    assert (spec.sources[1].slots, spec.sources[1].environment.prefix) == (2, str(tmp_path / ".venv"))
    (tmp_path / "frozen.yaml").write_text(dump_document(spec.document))
    assert load_frozen(tmp_path / "frozen.yaml") == spec


@pytest.mark.parametrize(
    ("text", "where", "message", "hint"),
    [
        ("output: x\n", ":1:1", "unknown key `output`", "did you mean `outputs`?"),
        ("sources:\n  lcal: {}\n", ":2:3", "is not a source", "did you mean `local`?"),
        ("sources:\n  local:4: {}\n", ":2:3", "without slots", "{slots: 4}"),
        ("sources:\n  local: {slot: 4}\n", ":2:11", "unknown key", "did you mean `slots`?"),
        ("sources:\n  local: {conda: base}\n", ":2:18", "the prefix", "conda env list"),
        ("sources:\n  local: {conda: /a, venv: b}\n", ":2:11", "cannot stand beside `venv`", ""),
        ("sources:\n  slurm:a: {slots: 4}\n", ":2:13", "a scheduler has no slots", ""),
        ("sources:\n  local: {variables: {HSM_X: 1}}\n", ":2:23", "set by HSM", ""),
        (
            "sources:\n  local: {variables: {A: true}}\n",
            ":2:26",
            "expected text or a number",
            "quote it: 'true'",
        ),
        ("sources:\n  local: {modules: gcc}\n", ":2:20", "expected a list", "write [gcc]"),
        ("sources:\n  local: {modules: ['a; id']}\n", ":2:21", "the name of a module", ""),
    ],
)
def test_a_wrong_project_file_is_told(text: str, where: str, message: str, hint: str, tmp_path: Path) -> None:
    """hsm.yaml is held to the same strictness as a sweep file."""
    (tmp_path / "hsm.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path)
    (problem,) = caught.value.problems
    assert problem.where == f"{tmp_path}/hsm.yaml{where}"
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    "word",
    [
        "",
        "local:0",
        "local:-1",
        "local:x",
        "local:1000000",
        "local:4:4",
        "locla",
        "ssh",
        "ssh:",
        "ssh:-oProxyCommand=touch x",
        "ssh:host -p 22",
        "ssh:user@host;id",
        "ssh:[::1%25eth0]",
        "ssh:[zz]",
        "ssh:ssh://host",
        "ssh:xn--e1afmkfd.example",
        "ssh:host:x",
        "ssh:a..b",
        "ssh:h\nost",
        "slurm:hpc:4",
        "slurm:",
        "pbs:$(id)",
        "dask:tcp",
    ],
)
def test_a_word_that_is_no_source_is_refused(word: str, tmp_path: Path) -> None:
    """Hosts have a strict grammar: no options, no spaces, no shell, no encoded names."""
    with pytest.raises(ConfigError, match="is not a source"):
        parse_source(word, find_project(tmp_path))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("01:30:00", 5400),
        ("2d", 172800),
        ("1h 30m", 5400),
        ("1-00:00:01", 86401),
        ("1.5h", 5400),
        ("0.25s", 0.25),
    ],
)
def test_durations_are_read(text: str, seconds: float) -> None:
    """Units, clock times and Slurm's days are understood."""
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "90", "1:30", "10 min", "1m1h", "s", "-5s", "1e3s", "01:60:00", "1..5s", "inf", "9" * 400 + "s"],
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    """A number without a unit and a clock time of two parts are not guessed."""
    with pytest.raises(ConfigError, match="is not a duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1GiB", 1 << 30),
        ("500MB", 500_000_000),
        ("1.5KiB", 1536),
        ("7B", 7),
        ("2 TiB", 2 << 40),
        ("1kB", 1000),
    ],
)
def test_sizes_are_read(text: str, count: int) -> None:
    """Decimal and binary units are told apart."""
    assert size(text) == count


@pytest.mark.parametrize("text", ["", "1024", "4G", "4g", "1gib", "-1GiB", "GiB", "1e3MB", "1PiB"])
def test_what_is_no_size_is_refused(text: str) -> None:
    """A size needs one of the units whose meaning is plain."""
    with pytest.raises(ConfigError, match="is not a size"):
        size(text)


@given(st.floats(1e-9, 4e18) | st.integers(1, 10**9).map(float))
def test_a_duration_survives_writing(seconds: float) -> None:
    """What is written for a duration reads as exactly that duration."""
    assert duration(render_duration(seconds)) == pytest.approx(seconds, rel=1e-9)
    assert seconds < 1e-3 or duration(render_duration(seconds)) == seconds


@given(st.integers(0, 1 << 62))
def test_a_size_survives_writing(count: int) -> None:
    """What is written for a size reads as exactly that size."""
    assert size(render_size(count)) == count
