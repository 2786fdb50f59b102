"""Overrides in Hydra's grammar, defaults lists, sweep functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsm.config import find_project, load_sweep
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import Axis, Choices, FloatRange, IntRange, SweepSpec
from hsm.wire.canonical import canonical_json

SWEEP = """\
name: heat
program: {command: [python, run.py]}
sweep:
  grid:
    k: [0.1, 0.2]
    model.width: [1, 2]
parameters: {opt.lr: 1, note: "${oc.env:HOME} ${"}
"""
HUNT = """\
name: hunt
program: {command: [python, run.py]}
hunt:
  hunter: random
  generations: 2
  population: 3
  space:
    b: {low: 0.1, high: 3, log: true}
  objective: {metric: pcs}
"""


def load(folder: Path, *overrides: str, text: str = SWEEP) -> SweepSpec:
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return load_sweep(path, overrides, project=find_project(folder))


def problems(folder: Path, *overrides: str, text: str = SWEEP) -> tuple[Problem, ...]:
    with pytest.raises(ConfigError) as caught:
        load(folder, *overrides, text=text)
    return caught.value.problems


def axes(spec: SweepSpec) -> dict[str, list[Any]]:
    assert spec.grid is not None
    return {axis.names[0]: [point[0] for point in axis.points] for axis in spec.grid.axes}


def test_known_keys_need_no_plus(tmp_path: Path) -> None:
    """Settings of the schema can be given whether the file has them or not."""
    spec = load(
        tmp_path, "resources.cpus=2", "timeout=90s", "sources=[local:2]", "retry.node=0", "name=other"
    )
    assert (spec.resources.cpus, spec.timeout_s, spec.name) == (2, 90.0, "other")
    assert [source.slots for source in spec.sources] == [2]


def test_an_override_changes_nothing_else(tmp_path: Path) -> None:
    """Values of the file keep type, text and order on their way through Hydra; interpolations stay text."""
    plain = load(tmp_path)
    composed = load(tmp_path, "metadata={}")
    assert canonical_json(composed.document) == canonical_json(plain.document)
    assert composed.parameters["note"] == "${oc.env:HOME} ${"
    assert list(axes(composed)) == list(axes(plain))


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("sweep.grid.k=range(0,1,0.25)", [0.0, 0.25, 0.5, 0.75]),
        ("sweep.grid.k=range(0,0.5,0.1)", [0.0, 0.1, 0.2, 0.3, 0.4]),
        ("sweep.grid.k=range(1,0,-0.25)", [1.0, 0.75, 0.5, 0.25]),
        ("sweep.grid.k=range(3)", [0, 1, 2]),
        ("sweep.grid.k=range(1e-3,4e-3,1e-3)", [0.001, 0.002, 0.003]),
        ("sweep.grid.k=choice(a,'b, c',1,1.0,true)", ["a", "b, c", 1, 1.0, True]),
        ("sweep.grid.k=sort(3,1,2)", [1, 2, 3]),
        ("sweep.grid.k=1,2", [1, 2]),
        ("sweep.grid.k=[[1,2],{a: 'x y'}]", [[1, 2], {"a": "x y"}]),
        ("sweep.grid.k=['${oc.env:HOME}']", ["${oc.env:HOME}"]),
    ],
)
def test_a_grid_takes_lists_and_sweep_functions(override: str, expected: list[Any], tmp_path: Path) -> None:
    """Lists, choice and range replace an axis; steps are exact decimals."""
    assert canonical_json(axes(load(tmp_path, override))["k"]) == canonical_json(expected)


def test_axes_are_added_and_removed(tmp_path: Path) -> None:
    """`+` adds an axis, `~` removes one, and dotted names are met as they are written."""
    spec = load(
        tmp_path,
        "+sweep.grid.new=[1,2]",
        "~sweep.grid.k",
        "sweep.grid.model.width=[7]",
        "parameters.opt.lr=2",
    )
    assert axes(spec) == {"model.width": [7], "new": [1, 2]}
    assert dict(spec.parameters)["opt.lr"] == 2
    assert axes(load(tmp_path, "+sweep.grid.model.depth=[1]"))["model.depth"] == [1]


def test_a_space_takes_intervals_and_choices(tmp_path: Path) -> None:
    """interval() replaces a dimension whole; tags make it logarithmic or integer."""
    spec = load(
        tmp_path,
        "hunt.space.b=interval(0,3)",
        "+hunt.space.mu=tag(log, interval(1e-4, 1))",
        "+hunt.space.n=tag(int, interval(1, 9))",
        "+hunt.space.m=int(interval(1, 9))",
        "+hunt.space.mode=choice(x, y)",
        "+hunt.space.z={low: 1, high: 2}",
        "hunt.population=5",
        text=HUNT,
    )
    assert spec.hunt is not None
    assert dict(spec.hunt.space) == {
        "b": FloatRange(low=0.0, high=3.0),
        "mu": FloatRange(low=1e-4, high=1.0, log=True),
        "n": IntRange(low=1, high=9),
        "m": IntRange(low=1, high=9),
        "mode": Choices(values=("x", "y")),
        "z": FloatRange(low=1.0, high=2.0),
    }
    assert spec.hunt.population == 5


def test_functions_work_in_the_file_too(tmp_path: Path) -> None:
    """A grid or a space may hold the text of a sweep function."""
    text = SWEEP.replace("[0.1, 0.2]", "range(0, 0.3, 0.1)") + "timeout: 5s\n"
    assert axes(load(tmp_path, text=text))["k"] == [0.0, 0.1, 0.2]
    hunt = load(
        tmp_path, text=HUNT.replace("{low: 0.1, high: 3, log: true}", "tag(log, interval(1, 2))")
    ).hunt
    assert hunt is not None
    assert hunt.space["b"] == FloatRange(low=1.0, high=2.0, log=True)
    (problem,) = problems(tmp_path, text=SWEEP.replace("[0.1, 0.2]", "glob(*)"))
    assert problem.where.endswith(":5:8")
    assert "glob() is not supported" in problem.message


@pytest.mark.parametrize(
    ("override", "message", "hint"),
    [
        ("x", "cannot be read", "key=value"),
        ("a=[1", "cannot be read", "quote"),
        ("sweep.grid.k=rnge(3)", "Unknown function 'rnge'", "did you mean `range`?"),
        ("resource.cpus=2", "there is no key `resource.cpus`", "did you mean `resources.cpus`?"),
        ("sweep.grid.n=[1]", "there is no key `sweep.grid.n`", "write +sweep.grid.n=[1]"),
        ("+sweep.grid.k=[1]", "is there already", "write sweep.grid.k=[1]"),
        ("~sweep.grid.kk", "there is no key `sweep.grid.kk`", "did you mean `k`?"),
        ("~sweep.grid.k=1", "a deletion takes no value", "write ~sweep.grid.k"),
        ("sweep.grid.k=range(0,1,0)", "has no end", "step"),
        ("sweep.grid.k=range(1,0)", "is empty", "step"),
        ("sweep.grid.k=range(0,1e9)", "has 1000000000 values; the limit is 100000", ""),
        ("sweep.grid.k=interval(0,1)", "interval() is for `hunt.space`", "range()"),
        ("sweep.grid.k=shuffle(range(3))", "shuffle() is not supported", "order"),
        ("sweep.grid.k=shuffle([1,2,3])", "shuffle() is not supported", "order"),
        ("sweep.grid.k=glob(*)", "glob() is not supported", "choice"),
        ("sweep.grid.k=[nan]", "not a finite number", "quote"),
        ("sweep.grid.k=[1e999]", "not a finite number", "quote"),
        ("sweep.grid.k=[9223372036854775808]", "more than 64 bits", "quote"),
        ("sweep.grid.k=[{1: 2}]", "is not text", ""),
        ("sweep.grid.k=" + "[" * 5000, "nested deeper than 24", ""),
        ("sweep.grid.k=5", "`sweep.grid.k` is 5; expected a list", "write [5]"),
        ("sweep.grid.k=['a\0b']", "NUL", ""),
        ("resources.cpus=1,2", "several values can stand only in `sweep.grid`", "[a, b]"),
        ("resources.cpus=two", '`resources.cpus` is "two"', ""),
        ("hydra.run.dir=x", "cannot be overridden", "settings"),
        ("=3", "names no key", "key=value"),
        ("sweep.grid.k.deep=3", "there is no key `sweep.grid.k.deep`", ""),
        ("parameters.new=3", "there is no key `parameters.new`", "write +parameters.new=3"),
        ("tmeout=3s", "there is no key `tmeout`", "did you mean `timeout`?"),
        ("a='b", "cannot be read", "quote"),
        ("k=[3]", "there is no key `k`", "did you mean `sweep.grid.k`?"),
        ("cpus=2", "there is no key `cpus`", "did you mean `resources.cpus`?"),
        ("metadata.who=me", "there is no key `metadata.who`", "write +metadata.who=me"),
    ],
)
def test_a_bad_override_is_named(override: str, message: str, hint: str, tmp_path: Path) -> None:
    """Whatever is wrong with an override, the error names it and the fix, without Hydra's traceback."""
    found = problems(tmp_path, override)
    shown = override[:180].replace("\0", "\\x00")
    assert found[0].where.startswith(f"override '{shown}")
    assert message in found[0].message
    assert hint in found[0].hint


def test_good_and_bad_overrides_are_told_apart(tmp_path: Path) -> None:
    """All bad overrides are told at once, together with what is wrong in the file."""
    found = problems(
        tmp_path, "x", "resources.cpus=2", "nope=1", "~gone", "timeout=5", text=SWEEP + "tiemout: 5s\n"
    )
    wheres = [problem.where.rpartition("/")[2] for problem in found]
    assert wheres == [
        "override 'x'",
        "override 'nope=1'",
        "override '~gone'",
        "s.yaml:8:1",
        "override 'timeout=5'",
    ]


def grouped(folder: Path) -> str:
    (folder / "resources").mkdir(exist_ok=True)
    (folder / "resources" / "big.yaml").write_text("cpus: 8\nmemory: 4GiB\n")
    (folder / "resources" / "small.yaml").write_text("cpus: 1\nmemory: 1GiB\n")
    (folder / "base.yaml").write_text("name: base\nretry: {node: 9}\nsweep: {grid: {k: [no, 1e-3]}}\n")
    head = "defaults: [base, {resources: big}, _self_]\nname: heat\n"
    return head + "program: {command: x}\nresources: {cpus: 7}\n"


def test_a_defaults_list_is_composed(tmp_path: Path) -> None:
    """Files and groups of a defaults list lie beneath the sweep file; values are read strictly there too."""
    spec = load(tmp_path, text=grouped(tmp_path))
    assert (spec.name, spec.resources.cpus, spec.resources.memory_bytes) == ("heat", 7, 4 << 30)
    assert axes(spec) == {"k": ["no", 0.001]}
    assert load(tmp_path, "resources=small", text=grouped(tmp_path)).resources.memory_bytes == 1 << 30
    unself = grouped(tmp_path).replace(", _self_", "")
    assert load(tmp_path, text=unself).resources.cpus == 7, "without _self_ the file itself comes last"


def test_problems_in_composed_files_keep_their_place(tmp_path: Path) -> None:
    """A wrong value in a file of the defaults list is told with that file and line."""
    text = grouped(tmp_path)
    (tmp_path / "resources" / "big.yaml").write_text("memory: 4GiB\ncpu: 8\n")
    found = problems(tmp_path, text=text)
    assert [problem.where for problem in found] == [f"{tmp_path}/resources/big.yaml:2:1"]
    assert found[0].hint == "did you mean `cpus`?"
    (tmp_path / "resources" / "big.yaml").write_text("memory: 012\n")
    assert problems(tmp_path, text=text)[0].where == f"{tmp_path}/resources/big.yaml:1:9"


@pytest.mark.parametrize(
    ("defaults", "where", "message", "hint"),
    [
        ("[bsae]", ":1:12", 'no configuration "bsae"', ""),
        ("[{resources: bigg}]", ":1:24", 'no configuration "resources/bigg"', "did you mean `big`?"),
        ("[../../etc/passwd]", ":1:12", "no configuration", ""),
        ("['x${oc.env:HOME}']", ":1:12", "interpolations are not evaluated", "name the file"),
        ("[{override hydra/launcher: basic}]", ":1:12", "Hydra does not run the program", "remove it"),
        ("base", ":1:11", "expected a list", "defaults: [base"),
        ("[1]", ":1:12", "`defaults` holds 1", "group: name"),
        ("[s]", "s.yaml", "is the file itself", ""),
    ],
)
def test_a_wrong_defaults_list_is_told(
    defaults: str, where: str, message: str, hint: str, tmp_path: Path
) -> None:
    """What a defaults list cannot have is told with its place."""
    grouped(tmp_path)
    found = problems(tmp_path, text=f"defaults: {defaults}\n{SWEEP}")
    assert found[0].where.endswith(where), found
    assert message in found[0].message
    assert hint in found[0].hint


def test_a_circle_of_defaults_ends(tmp_path: Path) -> None:
    """Two files that include each other are refused."""
    (tmp_path / "a.yaml").write_text("defaults: [b]\n")
    (tmp_path / "b.yaml").write_text("defaults: [a]\n")
    assert problems(tmp_path, text=f"defaults: [a]\n{SWEEP}")


def test_composition_leaves_hydra_as_it_was(tmp_path: Path) -> None:
    """A program that uses Hydra itself is not disturbed by HSM's composing."""
    from hydra import compose, initialize
    from hydra.core.global_hydra import GlobalHydra

    load(tmp_path, "timeout=5s")
    assert not GlobalHydra().is_initialized()
    with initialize(version_base="1.3", config_path=None):
        assert compose(overrides=["+a=1"]) == {"a": 1}
        sources = compose(return_hydra_config=True).hydra.runtime.config_sources
        assert "hsm-strict" not in [source.schema for source in sources]


def test_axis_order_is_that_of_writing(tmp_path: Path) -> None:
    """The order of axes numbers the tasks, so overriding one axis must not move it."""
    spec = load(tmp_path, "sweep.grid.k=[5]")
    assert spec.grid is not None
    assert spec.grid.axes == (
        Axis(names=("k",), points=((5,),)),
        Axis(names=("model.width",), points=((1,), (2,))),
    )
