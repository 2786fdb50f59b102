"""The grid hunter."""

from __future__ import annotations

from itertools import islice
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from hsm.core.model import History
from hsm.core.spec import Axis, GridSpec, Params
from hsm.hunt import build_hunter
from tests.unit.hunt.hunting import ask, grid_spec, sweep

AXES = st.dictionaries(
    st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), max_size=4
)


def test_last_axis_is_fastest_and_seeds_are_innermost() -> None:
    """A grid is walked like nested loops, replicates of one combination next to each other."""
    proposals = ask(grid_spec({"k": (1, 2), "n": ("a", "b")}, seeds=2))
    walked = [(p.params["k"], p.params["n"], p.seed) for p in proposals]
    assert walked == [(k, n, s) for k in (1, 2) for n in ("a", "b") for s in (0, 1)]


def test_paired_names_move_together() -> None:
    """The names of one axis take their i-th values together."""
    axis = Axis(names=("width", "height"), points=((1, 3), (2, 4)))
    proposals = ask(sweep(grid=GridSpec(axes=(axis,))))
    assert [dict(p.params) for p in proposals] == [{"width": 1, "height": 3}, {"width": 2, "height": 4}]


def test_constants_lie_beneath() -> None:
    """Every combination carries the constants, and its own value where both have one."""
    proposals = ask(grid_spec({"k": (1,)}, parameters={"k": 0, "solver.tol": 1e-6}))
    assert [dict(p.params) for p in proposals] == [{"k": 1, "solver.tol": 1e-6}]


def test_exclusion_keeps_types_apart() -> None:
    """A rule for 1 excludes neither 1.0 nor True."""
    proposals = ask(grid_spec({"k": (1, 1.0, True, "1")}, exclude=({"k": 1},)))
    assert [repr(p.params["k"]) for p in proposals] == ["1.0", "True", "'1'"]


def test_exclusion_needs_all_values_of_a_rule() -> None:
    """A combination is excluded by a rule that it meets wholly, not partly."""
    rules: tuple[Params, ...] = ({"k": 1, "n": "a"}, {"absent": 1})
    proposals = ask(grid_spec({"k": (1, 2), "n": ("a", "b")}, exclude=rules))
    assert [(p.params["k"], p.params["n"]) for p in proposals] == [(1, "b"), (2, "a"), (2, "b")]


def test_exclusion_compares_structured_values() -> None:
    """Lists and mappings are compared by content."""
    proposals = ask(grid_spec({"k": ([1, {"a": 2}], [1, {"a": 2.0}])}, exclude=({"k": (1, {"a": 2})},)))
    assert [p.params["k"] for p in proposals] == [[1, {"a": 2.0}]]
    assert "2.0" in repr(proposals[0].params["k"])


def test_a_grid_is_one_generation() -> None:
    """Nothing is proposed after the first generation."""
    assert ask(grid_spec({"k": (1, 2)}), generation=2) == []


def test_a_huge_product_is_walked_lazily() -> None:
    """The first ten of 10^9 combinations cost ten combinations."""
    hunter = build_hunter(grid_spec({name: tuple(range(1_000)) for name in "abc"}))
    first = list(islice(hunter.ask(History(generation=1), Random(0)), 10))
    assert [p.params["c"] for p in first] == list(range(10))


@given(axes=AXES, seeds=st.integers(1, 3))
def test_a_grid_is_the_whole_product_once(axes: dict[str, list[int]], seeds: int) -> None:
    """Every combination and replicate is proposed exactly once."""
    spec = grid_spec({name: tuple(values) for name, values in axes.items()}, seeds=seeds)
    proposals = ask(spec)
    assert spec.grid is not None
    assert len(proposals) == spec.grid.product * seeds
    assert len({(tuple(p.params.items()), p.seed) for p in proposals}) == len(proposals)
