"""Whole runs: frames, repeatability, blow-up, interruption, one compilation."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hsm.physics.equation import Sncgl
from hsm.physics.grid import Grid
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params, Precision, read_params
from hsm.physics.simulate import Frame, advance, plan, simulate
from hsm.physics.status import Status

Make = Callable[..., Params]
Figure = Callable[[str, str], None]
UNSTABLE_H = 0.4  # far above the bound that read_params enforces


def frames_of(
    p: Params, interruption: Callable[[], Status | None] = lambda: None
) -> tuple[Ending, list[Frame]]:
    frames: list[Frame] = []
    ending, _ = simulate(plan(p), frames.append, interruption)
    return ending, frames


def compilations() -> int:
    return advance._cache_size()  # type: ignore[attr-defined]


def test_frames_are_saved_at_their_times(params: Make) -> None:
    """The first is the initial field, the last is at T, and they are equally spaced."""
    ending, frames = frames_of(params(T=2.5, save_every=0.5))
    assert ending.status is Status.OK
    assert [frame.t for frame in frames] == pytest.approx([0, 0.5, 1, 1.5, 2, 2.5])
    assert frames[-1].step == ending.step == 15


@pytest.mark.parametrize("dtype", ["f32", "f64"])
def test_same_seed_repeats_bit_for_bit(params: Make, dtype: str) -> None:
    """Two runs of the same parameters are equal in every bit; another seed differs."""
    one, again, other = (frames_of(params(T=5, seed=seed, dtype=dtype))[1][-1].psi for seed in (3, 3, 4))
    assert one.dtype == {"f32": np.complex64, "f64": np.complex128}[dtype]
    assert one.tobytes() == again.tobytes()
    assert np.abs(one - other).max() > 0.1


def test_single_precision_follows_double(params: Make, figure: Figure) -> None:
    """At T = 4 the two agree to 1e-4 (the floor seen is 1e-5)."""
    single, double = (
        frames_of(params(T=4, init_amp=0.5, dtype=dtype))[1][-1].psi for dtype in ("f32", "f64")
    )
    error = np.linalg.norm(single - double) / np.linalg.norm(double)
    figure("float32 against float64, T = 4: relative error", f"{error:.1e}")
    assert error < 1e-4


def test_time_reaches_the_source_in_every_chunk(params: Make) -> None:
    """A run cut into many chunks equals one call over all steps: the phase of the source goes on."""
    p = params(T=4, save_every=0.4, source_kind="uniform", source_s0=0.5, source_omega=2.3, init_amp=0.3)
    prepared = plan(p)
    _, psi = advance(
        prepared.start, np.float64(0), prepared.stepper, prepared.nonlinear, steps=prepared.schedule.steps
    )
    assert np.abs(frames_of(p)[1][-1].psi - prepared.grid.ungauged(np.asarray(psi))).max() < 1e-12


def test_different_parameters_share_one_compilation(params: Make) -> None:
    """Parameters are traced: a hunt compiles once per grid, precision, chunk and set of terms."""
    frames_of(params(N=16, L=9, T=2, dtype="f32"))
    compiled = compilations()
    for changed in (
        {"b": -1.0},
        {"c": 1.5},
        {"mu": 0.7},
        {"L": 11.0},
        {"chi": 0.5, "d_chi": 1.0},
        {"seed": 8},
    ):
        frames_of(params(**{"N": 16, "L": 9, "T": 2, "dtype": "f32", **changed}))
    assert compilations() == compiled
    frames_of(params(N=16, L=9, T=2, dtype="f32", eta=0.5))
    assert compilations() == compiled + 1


def test_blow_up_is_located_at_its_step(params: Make) -> None:
    """The step reported is the first one, counted singly, that leaves the limit; earlier frames are kept."""
    p = replace(params(T=80, save_every=4, b=-4, c=4, dtype="f32"), h=UNSTABLE_H)
    ending, frames = frames_of(p)
    assert ending.status is Status.BLOWN_UP
    prepared = plan(p)
    v, step, density = prepared.start, 0, 0.0
    while density <= prepared.rho_limit:
        v, psi = advance(v, np.float32(step * UNSTABLE_H), prepared.stepper, prepared.nonlinear, steps=1)
        step, density = step + 1, float(np.max(np.abs(np.asarray(psi, np.complex128))) ** 2)
    assert step > 2 * prepared.schedule.steps_per_chunk
    assert (ending.blow_up_step, ending.step, ending.t) == (step, step - 1, (step - 1) * UNSTABLE_H)
    assert all(np.all(np.isfinite(frame.psi)) for frame in frames)
    assert frames[-1].t <= ending.t


def test_blow_up_to_infinity_has_no_density_to_report(params: Make) -> None:
    """A field that is not finite gives null, not a magic number."""
    p = replace(params(T=400, save_every=400, c=4, init_amp=1), h=50.0)
    ending, _ = frames_of(p)
    assert ending.status is Status.BLOWN_UP
    assert ending.max_rho is None or np.isfinite(ending.max_rho)


def test_interruption_ends_a_run_between_chunks(params: Make) -> None:
    """The status asked for is the status reported, at the last good time, with the frames so far."""
    answers = iter([None, None, None, Status.CANCELLED])
    ending, frames = frames_of(params(T=10, save_every=1), lambda: next(answers))
    assert ending == Ending(status=Status.CANCELLED, t=3.0, step=15)
    assert len(frames) == 4


def test_solution_converges_exponentially_with_resolution(figure: Figure) -> None:
    """The error of a smooth start falls by more than tenfold from N = 24 to 32 to 48, to rounding at 64."""

    def end(points: int) -> np.ndarray:
        given = {
            "N": points,
            "L": 20.0,
            "T": 1.0,
            "save_every": 1.0,
            "init_kind": "vortex_lattice",
            "init_cells": 1,
        }
        p = read_params({**given, "dtype": "f64", "h": 0.1, "eta": 0.3})
        return frames_of(p)[1][-1].psi

    fine = end(96)
    errors = [float(np.abs(end(n)[:: n // 8, :: n // 8] - fine[::12, ::12]).max()) for n in (24, 32, 48)]
    shown = ", ".join(f"{error:.1e}" for error in errors)
    figure("resolution, N = 24, 32, 48 against 96 at L = 20: error", shown)
    assert errors[1] < errors[0] / 5
    assert errors[2] < errors[1] / 50
    assert errors[2] < 1e-5


def test_plan_keeps_host_coefficients_in_double_precision(params: Make) -> None:
    """A single-precision run uses double-precision coefficients, rounded once."""
    single, double = (plan(params(dtype=dtype)) for dtype in ("f32", "f64"))
    assert np.array_equal(np.asarray(single.stepper.f1), np.asarray(double.stepper.f1).astype(np.complex64))
    p = params(dtype="f32")
    assert p.dtype is Precision.F32
    assert Sncgl(params=p, grid=Grid(points=p.N, length=p.L)).linear_symbol().dtype == np.complex128
