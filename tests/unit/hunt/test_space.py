"""The unit cube of a hunt space."""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.spec import Choices, Dimension, FloatRange, IntRange, Value
from hsm.hunt.space import Space, decode, encode

WIDE = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(1e-300, 1e300)
VALUES: st.SearchStrategy[Value] = st.sampled_from((0, 1, 2, 3, False, True, "a", 1.0))
DIMENSIONS: st.SearchStrategy[Dimension] = st.one_of(
    st.tuples(WIDE, WIDE).map(lambda ends: FloatRange(low=min(ends), high=max(ends))),
    st.tuples(POSITIVE, POSITIVE).map(lambda ends: FloatRange(low=min(ends), high=max(ends), log=True)),
    st.tuples(st.integers(-(10**9), 10**9), st.integers(0, 10**9)).map(
        lambda ends: IntRange(low=ends[0], high=ends[0] + ends[1])
    ),
    st.tuples(st.integers(1, 10**9), st.integers(0, 10**9)).map(
        lambda ends: IntRange(low=ends[0], high=ends[0] + ends[1], log=True)
    ),
    st.lists(VALUES, min_size=1).map(lambda values: Choices(values=tuple(values))),
)


@given(dimension=DIMENSIONS, unit=st.floats(0.0, 1.0))
def test_decoded_values_lie_within_the_bounds(dimension: Dimension, unit: float) -> None:
    """Every point of the cube is a legal parameter set, the ends included, and reals stay finite."""
    value = decode(dimension, unit)
    if isinstance(dimension, Choices):
        assert value in dimension.values
    else:
        assert isinstance(value, float if isinstance(dimension, FloatRange) else int)
        assert dimension.low <= value <= dimension.high


@given(dimension=DIMENSIONS, unit=st.floats(0.0, 1.0))
def test_encoding_finds_the_value_again(dimension: Dimension, unit: float) -> None:
    """A value's coordinate decodes to the value: exactly where discrete, up to rounding where real."""
    value = decode(dimension, unit)
    back = encode(dimension, value)
    assert back is not None
    assert 0.0 <= back <= 1.0
    if isinstance(dimension, FloatRange):
        assert math.isclose(encode(dimension, decode(dimension, back)) or 0.0, back, abs_tol=1e-9)
    else:
        again = decode(dimension, back)
        assert (again, type(again)) == (value, type(value))


@pytest.mark.parametrize(
    ("dimension", "value"),
    [
        (FloatRange(low=0, high=1), 2.0),
        (FloatRange(low=0, high=1), "0.5"),
        (FloatRange(low=0, high=1), True),
        (IntRange(low=1, high=3), None),
        (Choices(values=(1, "a")), 1.0),
    ],
)
def test_a_foreign_value_has_no_coordinate(dimension: Dimension, value: Value) -> None:
    """Values that the dimension cannot produce are told apart from those that it can."""
    assert encode(dimension, value) is None


def test_logarithmic_draws_are_uniform_in_the_logarithm() -> None:
    """Each decade of a log range gets its share, and each octave of a log integer range."""
    rng = Random(7)
    reals = [decode(FloatRange(low=1e-4, high=1.0, log=True), rng.random()) for _ in range(4_000)]
    decades = Counter(math.floor(math.log10(float(value))) for value in reals if isinstance(value, float))
    assert all(abs(decades[decade] - 1_000) < 150 for decade in (-4, -3, -2, -1))
    whole = Counter(decode(IntRange(low=1, high=8, log=True), rng.random()) for _ in range(4_000))
    assert whole[1] > 2 * whole[3] > 2 * whole[8] > 0


def test_a_finite_space_is_counted_and_enumerated() -> None:
    """Size and enumeration agree, and one continuous dimension makes a space infinite."""
    dimensions: dict[str, Dimension] = {"n": IntRange(low=2, high=4), "mode": Choices(values=("x", "y"))}
    space = Space(dimensions=dimensions)
    assert space.size == len(list(space.points())) == 6
    assert Space(dimensions={**dimensions, "f": FloatRange(low=1, high=1)}).size == 6
    assert Space(dimensions={**dimensions, "f": FloatRange(low=0, high=1)}).size is None
