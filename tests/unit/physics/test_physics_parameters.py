"""Parameters: what is read, what is refused, and the canonical form."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.physics.parameters import ParameterErrors, Params, SourceKind, read_params
from hsm.physics.schedule import schedule
from hsm.physics.stability import largest_step


def problems(**values: object) -> tuple[str, ...]:
    with pytest.raises(ParameterErrors) as caught:
        read_params(values)
    return caught.value.problems


def test_every_problem_is_reported_at_once() -> None:
    """Unknown names, unfit values and broken rules between parameters come together."""
    found = problems(kapa=1, init_k0="fast", N=130, sigma=40, dtype="f16", h=0.5)
    assert [problem.split(":")[0] for problem in found] == ["kapa", "init_k0", "N", "dtype", "sigma", "h"]
    assert found[1] == "init_k0: expected a number from 0.001 to 1000, got 'fast'"
    assert "a multiple of 4 from 16 to 4096" in found[2]
    assert "one of f32, f64" in found[3]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("n", "N"), ("init_ampl", "init_amp"), ("sourcekind", "source_kind"), ("seeds", "seed")],
)
def test_unknown_parameter_names_the_one_that_was_meant(wrong: str, right: str) -> None:
    """A typing error or a wrong case gets a suggestion."""
    assert problems(**{wrong: 64}) == (f"{wrong}: unknown parameter; did you mean {right}?",)


def test_gravity_is_refused_where_it_is_not_defined() -> None:
    """Not in one dimension, not with a multistep integrator."""
    assert problems(kappa=0.1, dim=1) == ("kappa: the metric is defined in 2 and 3 dimensions only",)
    assert problems(kappa=0.1, integrator="etdab4")[0].startswith("integrator: etdab4 is for flat space")


def test_step_that_is_too_large_names_the_largest() -> None:
    """The bound falls with |1+ic|, gain, a dense start, a source, a metric, and for the multistep scheme."""
    assert problems(h=0.5)[0].endswith("is not stable; the largest step for these parameters is 0.3897")
    assert "is 0.126" in problems(h=0.4, b=-4, c=4)[0]
    assert "is 0.1948" in problems(h=0.3, mu=2)[0]
    assert "is 0.1062" in problems(h=0.3, init_amp=1)[0]
    assert "is 0.05" in problems(h=0.3, source_kind="uniform", source_s0=1, source_omega=-20)[0]
    assert "is 0.2755" in problems(h=0.3, kappa=0.1)[0]
    assert "is 0.0861" in problems(h=0.3, integrator="etdab4")[0]


@pytest.mark.parametrize("value", [True, None, "", "nan", "inf", [1], 1e400, "0x1"])
def test_values_that_are_no_numbers_are_refused(value: object) -> None:
    """Booleans, infinities and nan included."""
    assert len(problems(b=value)) == 1


def test_numbers_may_come_as_text_and_nested() -> None:
    """YAML 1.1 reads 1e-3 as text; `source: {kind: ...}` is `source_kind`."""
    p = read_params(
        {
            "b": "1e-3",
            "N": "64",
            "source": {"kind": "sites", "positions": [[1, 2, "3e0"]]},
            "init.amp": 0.1,
            "h": "auto",
        }
    )
    assert (p.flat()["b"], p.N, p.h, p.init_amp) == (0.001, 64, None, 0.1)
    assert p.source_kind is SourceKind.SITES
    assert p.source_positions == ((1.0, 2.0, 3.0),)


def test_one_parameter_given_twice_is_refused() -> None:
    """By name and nested."""
    assert "given twice" in problems(init_amp=0.1, init={"amp": 0.2})[0]


@pytest.mark.parametrize(
    "values",
    [
        {"init_kind": "plane_wave", "init_mode_x": 32},
        {"init_kind": "plane_wave", "init_mode_x": 12},
        {"init_kind": "vortex_lattice", "init_cells": 40},
        {"save_every": 300},
        {"source_positions": [[1, 2]]},
        {"source_positions": "12"},
    ],
)
def test_impossible_combinations_are_refused(values: dict[str, object]) -> None:
    """One problem each: mode beyond the band, no such wave, cells beyond the band, no frame, no triple."""
    assert len(problems(**values)) == 1


def test_canonical_form_does_not_depend_on_spelling() -> None:
    """The same parameters have one canonical JSON, which reads back to the same parameters."""
    one = read_params({"b": 2, "c": "-1", "N": 128.0, "eta": -0.0})
    assert one == Params()
    assert one.canonical_json() == Params().canonical_json()
    assert read_params(json.loads(one.canonical_json())) == one


@given(
    duration=st.floats(0.01, 500),
    every=st.floats(0.001, 1),
    h=st.none() | st.floats(0.001, 0.3),
    points=st.sampled_from([16, 128, 512, 2048]),
)
def test_schedule_meets_the_end_and_the_limits(
    duration: float, every: float, h: float | None, points: int
) -> None:
    """Steps add up to T exactly, none is larger than asked for, frames are no rarer than asked for."""
    p = read_params({"T": duration, "save_every": duration * every, "h": h, "N": points})
    cuts = schedule(p)
    assert cuts.steps * cuts.h == pytest.approx(duration, rel=1e-12)
    assert cuts.h <= (h or 0.2) * (1 + 1e-9)
    assert duration / cuts.frames <= p.save_every * (1 + 1e-9)
    assert cuts.steps_per_chunk <= 50
    assert cuts.h <= largest_step(p)
