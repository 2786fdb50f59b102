"""Vortices and their tracks on fields and motions that are known."""

from math import tau

import numpy as np
import pytest

from hsm.physics.measure.vortices import Vortex, tracks, vortices
from tests.unit.physics import made

LENGTH = 32.0
SPACING = LENGTH / made.N


def lattice(shift: tuple[float, float]) -> np.ndarray:
    """Return four vortices a cell, one cell: zeros at 0 and half the box, shifted."""
    x, y = made.X * SPACING - shift[0], made.Y * SPACING - shift[1]
    return np.sin(tau * x / LENGTH) + 1j * np.sin(tau * y / LENGTH)


def vortex(x: float, y: float, charge: int = 1) -> Vortex:
    return Vortex(x=x, y=y, charge=charge)


def test_places_are_exact_to_a_hundredth_of_a_spacing() -> None:
    """The zero of the bilinear interpolation, not the corner of the plaquette; charges alternate."""
    found = vortices(lattice((3.17, 5.41)), LENGTH)
    expected = {(3.17, 5.41): 1, (19.17, 21.41): 1, (19.17, 5.41): -1, (3.17, 21.41): -1}
    assert len(found) == 4
    for each in found:
        near = min(expected, key=lambda place: np.hypot(place[0] - each.x, place[1] - each.y))
        assert np.hypot(near[0] - each.x, near[1] - each.y) < 0.01 * SPACING
        assert expected[near] == each.charge


def test_charges_add_up_to_zero_in_noise() -> None:
    """Every vortex lies in its own plaquette, and all of them together are neutral."""
    found = vortices(made.gaussian_field(1, np.exp(-made.k_squared() / 40)), LENGTH)
    assert len(found) > 20
    assert sum(each.charge for each in found) == 0
    assert all(0 <= each.x < LENGTH and 0 <= each.y < LENGTH for each in found)


def test_a_lattice_that_drifts_keeps_its_tracks_across_the_border() -> None:
    """Four tracks over all frames, although each leaves the box on one side and comes in on the other."""
    frames = [vortices(lattice((0.21 + 0.9 * step, 0.13 + 0.5 * step)), LENGTH) for step in range(40)]
    found = tracks(frames, LENGTH, reach=2.0)
    assert len(found) == 4
    assert {(each.first, each.last) for each in found} == {(0, 39)}
    for each in found:
        steps = np.diff(np.array(each.places), axis=0)
        steps = (steps + LENGTH / 2) % LENGTH - LENGTH / 2
        assert steps == pytest.approx(np.tile([0.9, 0.5], (39, 1)), abs=0.02)


def test_a_scripted_pair_is_born_moves_apart_and_annihilates_another() -> None:
    """Births and deaths come in couples of opposite charge; who is left alone in a frame is alone."""
    frames = [
        [vortex(5, 5, 1), vortex(20, 20, -1)],
        [vortex(5, 5, 1), vortex(20, 20, -1), vortex(10, 5, 1), vortex(10.6, 5, -1)],
        [vortex(5.5, 5, 1), vortex(20, 20, -1), vortex(11, 5, 1), vortex(9, 5, -1)],
        [vortex(6, 5, 1), vortex(20, 20, -1), vortex(12, 5, 1), vortex(7, 5, -1)],
        [vortex(20, 20, -1), vortex(13, 5, 1)],
    ]
    first, still, plus, minus = tracks(frames, LENGTH, reach=2.1)
    assert (first.first, first.last, first.born_with, first.died_with) == (0, 3, None, minus.number)
    assert (minus.first, minus.last, minus.born_with, minus.died_with) == (1, 3, plus.number, first.number)
    assert (plus.first, plus.last, plus.born_with, plus.died_with) == (1, 4, minus.number, None)
    assert (still.first, still.last, still.born_with, still.died_with) == (0, 4, None, None)


def test_matching_is_the_best_for_all_and_not_the_nearest_for_each() -> None:
    """Two vortices that move by 1.5 to where the next one was: taking the nearest would swap them."""
    frames = [[vortex(10, 5), vortex(11.4, 5)], [vortex(11.5, 5), vortex(12.9, 5)]]
    found = tracks(frames, LENGTH, reach=2.0)
    assert [each.places[-1][0] for each in found] == [11.5, 12.9]


def test_nothing_is_matched_over_more_than_the_reach_nor_to_another_charge() -> None:
    """A jump is a death and a birth, and so is a change of charge."""
    assert len(tracks([[vortex(5, 5)], [vortex(8, 5)]], LENGTH, reach=2.0)) == 2
    assert len(tracks([[vortex(5, 5, 1)], [vortex(5, 5, -1)]], LENGTH, reach=2.0)) == 2
    assert tracks([[], []], LENGTH, reach=2.0) == ()
