"""Fronts and crowding under several objectives."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core.pareto import by_crowding, costs, dominates, fronts, ranking
from hsm.core.spec import Direction, Objective

POINTS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2)), max_size=12)


@settings(max_examples=50)
@given(points=POINTS)
def test_a_front_is_what_nothing_left_dominates(points: list[tuple[float, ...]]) -> None:
    """Every point is in one front; in each front are exactly those that nothing of the rest dominates."""
    left = set(range(len(points)))
    for front in fronts(points):
        assert set(front) == {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        assert front == sorted(front)
        left -= set(front)
    assert not left
    assert sorted(ranking(points)) == list(range(len(points)))


def test_crowding_prefers_the_ends_and_the_lonely() -> None:
    """The extremes of a front come first, then the points with most room about them."""
    points = [(0.0, 10.0), (1.0, 9.0), (1.5, 8.5), (6.0, 4.0), (10.0, 0.0)]
    assert by_crowding(range(5), points)[:3] == [0, 4, 3]
    assert by_crowding([1], points) == [1]
    assert ranking([(1.0, 1.0), (0.0, 0.0), (2.0, 2.0)], wanted=1) == [1]


def test_what_is_maximised_counts_with_its_sign_turned() -> None:
    """Costs are smaller for what is better, in either direction; equal points do not dominate each other."""
    objectives = (Objective(metric="a"), Objective(metric="b", direction=Direction.MINIMIZE))
    assert costs((2.0, 3.0), objectives) == (-2.0, 3.0)
    assert dominates((-2.0, 3.0), (-1.0, 3.0))
    assert not dominates((1.0, 1.0), (1.0, 1.0))
    assert not dominates((0.0, 2.0), (1.0, 1.0))
