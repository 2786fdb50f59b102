"""Equations: found by name, wherever they come from, and treated alike."""

from dataclasses import replace
from math import tau
from pathlib import Path

import numpy as np
import pytest

from hsm.physics.cubic_quintic import CubicQuintic
from hsm.physics.models import UnknownModel, load_model, model_names
from hsm.physics.parameters import ParameterErrors, Params, read_params
from hsm.physics.sncgl import Sncgl
from hsm.physics.stability import largest_step
from tests.unit.physics.solving import Figure, make, relative, solve

PLUG_IN = """
from dataclasses import dataclass
from typing import ClassVar
import numpy as np
from hsm.physics.equation import Equation
from hsm.physics.rules import Real, parameter

@dataclass(frozen=True, slots=True, kw_only=True)
class Quintic(Equation):
    degree: ClassVar[int] = 5
    strength: float = parameter(1.0, Real(low=0, high=10), "of the saturation")

    def linear_symbol(self, grid):
        return 1.0 - (1 + 2j) * grid.k_squared()

    def nonlinear(self, grid, real):
        from jax import tree_util
        return tree_util.Partial(saturated, np.asarray(self.strength, real))

@dataclass(frozen=True, slots=True, kw_only=True)
class Clash(Quintic):
    seed: float = parameter(1.0, Real(low=0, high=10), "taken")

@dataclass(frozen=True, slots=True, kw_only=True)
class OfRealFields(Quintic):
    def nonlinear(self, grid, real):
        from jax import tree_util
        return tree_util.Partial(squared, np.asarray(self.strength, real))

def squared(strength, psi):
    return -strength * psi ** 2

def saturated(strength, psi):
    return -strength * (psi.real**2 + psi.imag**2) ** 2 * psi
"""


@pytest.fixture(name="plug_in")
def _plug_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install a distribution of another author, as far as Python can tell."""
    (tmp_path / "their_quintic.py").write_text(PLUG_IN)
    info = tmp_path / "their_quintic-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-quintic\nVersion: 1.0\n")
    points = "quintic = their_quintic:Quintic\nclash = their_quintic:Clash\nnone = their_quintic:saturated\n"
    points += "real = their_quintic:OfRealFields\n"
    (info / "entry_points.txt").write_text(f"[hsm.models]\n{points}gone = their_quintic:Gone\n")
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("plug_in")
def test_equation_that_does_not_turn_with_the_phase_is_refused() -> None:
    """An equation of real fields would be stepped wrongly without a sign, so it is named instead."""
    assert read_params({"model": "quintic"}).model == "quintic"
    with pytest.raises(ParameterErrors, match="f of real does not turn with the phase"):
        read_params({"model": "real"})


def test_shipped_equations_are_found_by_their_entry_points() -> None:
    """The same way as those of plug-ins."""
    assert {"cubic-quintic", "sncgl"} <= set(model_names())
    assert load_model("sncgl") is Sncgl
    assert read_params({"model": "cubic-quintic", "a": 0.4}).equation == CubicQuintic(a=0.4)


def test_unknown_equation_is_told_with_what_was_meant() -> None:
    """And the other problems with it."""
    with pytest.raises(ParameterErrors) as caught:
        read_params({"model": "sncg", "N": 3})
    assert caught.value.problems[0] == "model: there is no equation sncg; did you mean sncgl?"
    assert len(caught.value.problems) == 2


@pytest.mark.usefixtures("plug_in")
def test_equation_of_a_plug_in_is_simulated_with_all_that_the_solver_offers() -> None:
    """Its parameters, its band and its step limit; a uniform field relaxes as its own equation says."""
    p = make(model="quintic", strength=0.5, init_kind="uniform", init_amp=0.3)
    assert p.flat()["strength"] == 0.5
    assert (p.grid.degree, p.grid.reach) == (5, 6)
    assert 0.05 < largest_step(p) < 1
    rho0, t = 0.09, 3.0
    grown = np.exp(4 * t)
    exact = rho0**2 * grown / (1 + 0.5 * rho0**2 * (grown - 1))
    assert np.abs(np.abs(solve(p, 0.02, 150)) ** 4 - exact).max() < 1e-6


@pytest.mark.usefixtures("plug_in")
@pytest.mark.parametrize(
    ("name", "what"),
    [("none", "does not derive from"), ("gone", "cannot be loaded"), ("clash", "that every run has: seed")],
)
def test_equation_that_is_none_is_told_by_its_distribution(name: str, what: str) -> None:
    """No class, a missing one, and one whose parameters hide those of the run."""
    if name != "clash":
        with pytest.raises(UnknownModel, match="of their-quintic"):
            load_model(name)
    with pytest.raises(ParameterErrors, match=what):
        read_params({"model": name})


@pytest.mark.usefixtures("plug_in")
def test_equation_without_diffusion_cannot_be_curved() -> None:
    """There would be nothing for the metric to act on."""
    with pytest.raises(ParameterErrors, match="no diffusion for a metric"):
        read_params({"model": "quintic", "kappa": 0.1})


def test_cubic_quintic_plane_wave_is_exact(figure: Figure) -> None:
    """aρ + sρ² + fρ³ = η + Dq², turning at −ω0, with the products of seven factors free of aliasing."""
    p = make(model="cubic-quintic", D=0.5, s=0.2, omega0=1.5, init_kind="plane_wave", init_mode_x=1, N=32)
    density = p.equation.wave_density((tau / p.L) ** 2)
    assert density is not None
    assert 0.5 * density + 0.2 * density**2 - 0.5 * density**3 == pytest.approx(0.1 + 0.5 * (tau / p.L) ** 2)
    assert p.grid.reach == 4
    error = relative(solve(p, 0.05, 40), solve(p, 0.05, 0) * np.exp(1.5j * 2))
    figure("cubic-quintic plane wave, h = 0.05, T = 2: relative error", f"{error:.1e}")
    assert error < 1e-7


class Silent(CubicQuintic):
    """The same equation, which does not say what its rate is."""

    def rate(self, density: float) -> complex | None:  # type: ignore[override]
        return None


def test_step_limit_does_not_depend_on_what_an_equation_says() -> None:
    """Its rate is found by evaluating it, where it is not stated."""
    p = make(model="cubic-quintic", N=32, h=0.1)
    silent = replace(p, equation=Silent())
    assert isinstance(silent, Params)
    assert largest_step(silent) == pytest.approx(largest_step(p), rel=0.1)
