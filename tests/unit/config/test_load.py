"""Good files: what is read, how it is frozen, and that the frozen file gives the same sweep."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.config import config_digest, count, dump_document, find_project, load_frozen, load_sweep
from hsm.config.reader import parse
from hsm.config.scalars import DoubtfulScalar, resolve
from hsm.core.errors import ConfigError
from hsm.core.spec import Axis, Choices, Direction, FloatRange, Growth, IntRange, SweepSpec
from hsm.core.states import Cause
from hsm.wire.canonical import canonical_json

FULL = """\
name: heat
program:
  command: [python, "{project}/heat.py", "--k={k}", --n, 3, "{model.width}", "{opt.lr}", "{seed}"]
  files: ["*.py"]
  variables: {OMP_NUM_THREADS: 1, MODE: no}
sweep:
  grid: {k: [0.1, 1e-3], "model.width": [1, 1.0, true, null, [1, 2], {a: 1}, no, 1:30, '012']}
  paired: [{size: {width: [1, 2], height: [3, 4]}}]
  exclude: [{k: 0.1, width: 1}]
  seeds: 3
parameters: {opt: {lr: 0.5}, text: "a, 'b' \\u2028 ${oc.env:HOME} {{x}}\\n"}
resources: {cpus: 2, memory: 1GiB, gpus: 1, walltime: 00:30:00}
timeout: 1h30m
grace: 1.5s
retry: {node: 7, memory: {times: 3, grow: 1.5, up_to: 16GiB}, time: {times: 1}}
max_failure_rate: 1
sources: [local:4, "ssh:me@gpu1.example:8", "slurm:hpc", "ssh:[::1]"]
metadata: {description: "\u00e9", tags: [demo], n: 1e16}
"""

HUNT = """\
name: hunt
program: {command: "python {project}/run.py --b='{b} x'", arguments: hydra}
hunt:
  hunter: evolution
  generations: 3
  population: 12
  space:
    b: {low: 0, high: 3}
    mu: {low: 1e-4, high: 1, log: true}
    n: {low: 1, high: 9, type: integer}
    model: {depth: {choices: [x, 1, 1.0]}}
  objective: {metric: pcs, direction: minimize}
  options: {elite: 2}
"""


def load(text: str, folder: Path, **keywords: Any) -> SweepSpec:
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return load_sweep(path, project=find_project(folder), **keywords)


def frozen(spec: SweepSpec, folder: Path) -> SweepSpec:
    path = folder / "sweep_config.yaml"
    path.write_text(dump_document(spec.document), encoding="utf-8")
    return load_frozen(path)


def test_a_full_sweep_file_is_read_as_meant(tmp_path: Path) -> None:
    """Every section arrives in the spec with its type."""
    spec = load(FULL, tmp_path)
    assert spec.program.command[3:5] == ("--n", "3")
    assert spec.program.variables == {"OMP_NUM_THREADS": "1", "MODE": "no"}
    assert spec.grid is not None
    assert spec.grid.axes[0] == Axis(names=("k",), points=((0.1,), (0.001,)))
    values = [point[0] for point in spec.grid.axes[1].points]
    assert canonical_json(values) == '[1,1.0,true,null,[1,2],{"a":1},"no","1:30","012"]'
    assert spec.grid.axes[2] == Axis(names=("width", "height"), points=((1, 3), (2, 4)))
    assert spec.grid.exclude == ({"k": 0.1, "width": 1},)
    assert (spec.seeds, count(spec)) == (3, 2 * 9 * 2 * 3)
    assert spec.parameters["text"] == "a, 'b' \u2028 ${oc.env:HOME} {{x}}\n"
    assert (spec.resources.memory_bytes, spec.resources.walltime_s) == (1 << 30, 1800.0)
    assert spec.timeout_s == 1800.0, "the smaller of timeout and walltime holds"
    assert (spec.retry[Cause.NODE], spec.retry[Cause.PREEMPTED], spec.retry[Cause.MEMORY]) == (7, 5, 3)
    assert spec.growth == {Cause.MEMORY: Growth(factor=1.5, up_to=16 << 30), Cause.TIME: Growth(factor=2.0)}
    assert [(s.kind, s.target, s.slots) for s in spec.sources] == [
        ("local", "", 4),
        ("ssh", "me@gpu1.example", 8),
        ("slurm", "hpc", None),
        ("ssh", "[::1]", None),
    ]


def test_a_hunt_is_read_as_meant(tmp_path: Path) -> None:
    """Dimensions, objective and options arrive with their types; nested spaces make dotted names."""
    spec = load(HUNT, tmp_path)
    assert spec.program.command[2] == "--b={b} x"
    assert spec.hunt is not None
    assert dict(spec.hunt.space) == {
        "b": FloatRange(low=0.0, high=3.0),
        "mu": FloatRange(low=1e-4, high=1.0, log=True),
        "n": IntRange(low=1, high=9),
        "model.depth": Choices(values=("x", 1, 1.0)),
    }
    assert spec.hunt.objective.direction is Direction.MINIMIZE
    assert count(spec) == 36


@pytest.mark.parametrize("text", [FULL, HUNT], ids=["sweep", "hunt"])
def test_a_frozen_file_gives_the_same_sweep(text: str, tmp_path: Path) -> None:
    """Dumping the document and reading it gives an equal spec, to the last type."""
    spec = load(text, tmp_path)
    again = frozen(spec, tmp_path)
    assert again == spec
    assert canonical_json(again.document) == canonical_json(spec.document)
    assert yaml.safe_load(dump_document(spec.document)) == spec.document, "other readers agree"


def test_the_digest_is_that_of_the_settings(tmp_path: Path) -> None:
    """Spelling, defaults and metadata do not change the digest; a value and its type do."""
    one = load(FULL, tmp_path)
    spelt = FULL.replace("1h30m", "5400s").replace("demo", "other").replace("1GiB", "1024MiB")
    assert load(spelt, tmp_path).config_digest == one.config_digest == config_digest(one.document)
    assert load(FULL.replace("seeds: 3", "seeds: 4"), tmp_path).config_digest != one.config_digest
    assert load(FULL.replace("[0.1, 1e-3]", "[0.1, 1]"), tmp_path).config_digest != one.config_digest


def test_paired_axes_keep_their_order_when_frozen(tmp_path: Path) -> None:
    """A group of one key behind a group of two stays behind it."""
    text = """\
name: a
program: {command: x}
sweep:
  grid: {k: [1]}
  paired: [{g: {a: [1, 2], b: [3, 4]}, h: {c: [5, 6]}}, {i: {d: [7]}}]
"""
    spec = load(text, tmp_path)
    assert spec.grid is not None
    assert [axis.names for axis in spec.grid.axes] == [("k",), ("a", "b"), ("c",), ("d",)]
    assert frozen(spec, tmp_path) == spec


def test_a_billion_combinations_are_counted_not_made(tmp_path: Path) -> None:
    """Three axes of a thousand values are refused at once, by number and axes."""
    path = tmp_path / "s.yaml"
    numbers = list(range(1000))
    path.write_text(
        f"name: a\nprogram: {{command: x}}\nsweep: {{grid: {{a: {numbers}, b: {numbers}, c: {numbers}}}}}\n"
    )
    with pytest.raises(ConfigError, match=r"1,000,000,000 tasks \(a: 1000 × b: 1000 × c: 1000\)"):
        load_sweep(path, project=find_project(tmp_path))
    axis = Axis(names=("a",), points=tuple((i,) for i in numbers))
    spec = load("name: a\nprogram: {command: x}\nsweep: {}\n", tmp_path)
    assert spec.grid is not None
    begun = time.perf_counter()
    grid = type(spec.grid)(axes=(axis,) * 3)
    assert count(SweepSpec(name="a", program=spec.program, grid=grid)) == 10**9
    assert time.perf_counter() - begun < 0.05


def test_a_configuration_too_large_to_record_is_refused(tmp_path: Path) -> None:
    """Values that do not fit into one canonical record are told so, not cut off."""
    groups = "[{g: {a: range(100000), b: range(100000)}}]"
    with pytest.raises(ConfigError, match="cannot be recorded"):
        load(f"name: a\nprogram: {{command: x}}\nsweep: {{paired: {groups}}}\n", tmp_path)


def test_sources_of_the_command_line_win(tmp_path: Path) -> None:
    """`--source` replaces the file's list, and is part of what is frozen."""
    spec = load(FULL, tmp_path, sources=["local:2"])
    assert [source.slots for source in spec.sources] == [2]
    assert spec.document["sources"] == ["local:2"]
    with pytest.raises(ConfigError, match="3 problems"):
        load(FULL, tmp_path, sources=["locl", "ssh", "local", "local:2"])


def test_a_plain_file_does_without_hydra(tmp_path: Path) -> None:
    """A file without defaults list, functions and overrides imports no Hydra."""
    (tmp_path / "s.yaml").write_text(FULL, encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from hsm.config import *; p = Path('.');"
        "load_sweep(p / 's.yaml', project=find_project(p));"
        "print('hydra' in sys.modules, 'omegaconf' in sys.modules)"
    )
    root = str(Path(__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False False\n"


def test_the_examples_are_right() -> None:
    """The example sweeps of the repository can be read and have the tasks that their comments say."""
    root = Path(__file__).parents[3]
    project = find_project(root)
    assert count(load_sweep(root / "sweeps" / "grid.yaml", project=project)) == 9
    assert count(load_sweep(root / "sweeps" / "paired.yaml", project=project)) == 6


@pytest.mark.parametrize(
    ("word", "value"),
    [
        ("1e-3", 0.001),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0.0", -0.0),
        ("0x1F", 31),
        ("0o17", 15),
        ("-7", -7),
        ("+7", 7),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("True", True),
        ("~", None),
        ("", None),
        ("1:30", "1:30"),
        ("2026-11-22", "2026-11-22"),
        ("1.2.3", "1.2.3"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("=", "="),
        ("0.1e-300", 1e-301),
        ("0e500", 0.0),
        ("-9223372036854775808", -(2**63)),
    ],
)
def test_unquoted_words_are_read_as_yaml_1_2_says(word: str, value: object) -> None:
    """Words that YAML 1.1 mistakes are read as YAML 1.2 has them."""
    read = resolve(word)
    assert (type(read), read) == (type(value), value)


@pytest.mark.parametrize(
    "word", ["012", "-012", "08", "1_0", "0b1", ".inf", "-.INF", ".NaN", "1e999", "1e-999"]
)
def test_doubtful_words_are_refused(word: str) -> None:
    """Words on which readers differ, and numbers that are none, must be written otherwise."""
    with pytest.raises(DoubtfulScalar) as caught:
        resolve(word)
    assert caught.value.hint


def test_an_alias_stands_for_its_anchor() -> None:
    """A value written once can be used twice."""
    node = parse("a: &x [1, {b: 2}]\nc: *x\n", "s.yaml")
    assert node.plain() == {"a": [1, {"b": 2}], "c": [1, {"b": 2}]}


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12).filter(
    lambda text: (
        parse(json.dumps({"k": text}), "s").plain() == {"k": text}
        if text.isascii()
        else __import__("unicodedata").is_normalized("NFC", text)
    )
)
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
    | st.sampled_from(
        ["no", "1e-3", "012", "~", "1:30", "${a}", "range(3)x", "\u2028", "\x7f", " x ", "- a", "<<"]
    )
)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
NAME = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,5}", fullmatch=True)


@settings(max_examples=40, deadline=None)
@given(
    grid=st.dictionaries(NAME, st.lists(VALUE, min_size=1, max_size=3, unique_by=canonical_json), max_size=3),
    metadata=st.dictionaries(TEXT.filter(bool), VALUE, max_size=2),
    memory=st.integers(1, 2**50),
    timeout=st.floats(1e-3, 1e9),
)
def test_whatever_is_written_is_frozen_and_read_again(
    grid: dict[str, Any],
    metadata: dict[str, Any],
    memory: int,
    timeout: float,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Any values survive: file, document, frozen file, and other readers of YAML."""
    folder = tmp_path_factory.mktemp("frozen")
    settings_: dict[str, Any] = {
        "name": "a",
        "program": {"command": ["x"]},
        "sweep": {"grid": grid},
        "metadata": metadata,
        "resources": {"memory": f"{memory}B"},
        "timeout": f"{timeout:.17f}s",
    }
    spec = load(dump_document(settings_), folder)
    assert spec.grid is not None
    assert canonical_json(
        {axis.names[0]: [p[0] for p in axis.points] for axis in spec.grid.axes}
    ) == canonical_json(grid)
    again = frozen(spec, folder)
    assert (again, again.config_digest) == (spec, spec.config_digest)
    assert canonical_json(again.document) == canonical_json(spec.document)
    assert yaml.safe_load(dump_document(spec.document)) == spec.document


def test_the_identity_of_a_configuration_does_not_say_where_it_runs(tmp_path: Path) -> None:
    """The same sweep on another source is the same configuration; another value is another one."""
    path = tmp_path / "sweep.yaml"
    path.write_text(FULL, encoding="utf-8")
    project = find_project(tmp_path)
    local = load_sweep(path, project=project, sources=["local:1"])
    assert load_sweep(path, project=project, sources=["local:2"]).config_digest == local.config_digest
    path.write_text(FULL.replace("grace: 1.5s", "grace: 2s"), encoding="utf-8")
    assert load_sweep(path, project=project, sources=["local:1"]).config_digest != local.config_digest


def test_a_hunt_may_have_replicates(tmp_path: Path) -> None:
    """`hunt.seeds` survives being frozen and read back."""
    path, frozen = tmp_path / "sweep.yaml", tmp_path / "frozen.yaml"
    path.write_text(HUNT.replace("generations: 3", "generations: 3\n  seeds: 4"), encoding="utf-8")
    spec = load_sweep(path, project=find_project(tmp_path))
    frozen.write_text(dump_document(spec.document), encoding="utf-8")
    assert spec.seeds == load_frozen(frozen).seeds == 4
