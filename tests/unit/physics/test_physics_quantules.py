"""The table of lumps and vortices, on fields in which they were planted."""

import csv
import io
from math import sqrt, tau

import numpy as np
import pytest

pytest.importorskip("gudhi", reason="GUDHI IS NOT INSTALLED: pip install 'hsm[topology]'")

from hsm.physics.measure.quantules import HEADER, component, csv_text, quantules

N, LENGTH = 64, 32.0
X, Y = np.meshgrid(np.arange(N) * LENGTH / N, np.arange(N) * LENGTH / N, indexing="ij")
WIDTH = 2.0


def bump(x: float, y: float, height: float) -> np.ndarray:
    apart = [(axis - centre + LENGTH / 2) % LENGTH - LENGTH / 2 for axis, centre in ((X, x), (Y, y))]
    return height * np.exp(-(apart[0] ** 2 + apart[1] ** 2) / (2 * WIDTH**2))


def test_planted_lumps_have_their_places_heights_and_radii() -> None:
    """The radius is that of the disc at half height, √(2 ln 2) widths of a Gaussian."""
    rho = bump(10, 12, 3.0) + bump(0, 28, 2.0)
    first, second = quantules(np.sqrt(rho) + 0j, LENGTH, least=0.1)
    assert (first.kind, first.place, second.place) == ("blob", (10.0, 12.0), (0.0, 28.0))
    assert (first.birth, second.birth) == pytest.approx((3.0, 2.0), rel=1e-3)
    assert first.death is None
    assert second.death is not None
    assert first.radius == pytest.approx(WIDTH * sqrt(2 * np.log(2)), rel=0.05)


def test_what_does_not_outlast_the_threshold_is_no_lump() -> None:
    """Noise of a hundredth on a lump makes no lumps above a tenth."""
    noise = 0.01 * np.random.default_rng(1).random((N, N))
    rho = bump(16, 16, 1.0) + noise
    assert len(quantules(np.sqrt(rho) + 0j, LENGTH, least=0.1)) == 1
    assert len(quantules(np.sqrt(rho) + 0j, LENGTH, least=1e-4)) > 20


def test_vortices_have_charges_and_no_levels() -> None:
    """Four of them in one cell of a lattice, two of each sign, at a density near zero."""
    psi = np.sin(tau * (X - 3.2) / LENGTH) + 1j * np.sin(tau * (Y - 5.4) / LENGTH)
    found = [each for each in quantules(psi, LENGTH, least=0.1) if each.kind == "vortex"]
    assert sorted(each.charge or 0 for each in found) == [-1, -1, 1, 1]
    assert all(each.birth is None and each.magnitude < 0.02 for each in found)


def test_a_component_is_one_across_borders_and_corners() -> None:
    """Two cells that touch at a corner of the torus are together; a third is not."""
    cells = np.zeros((6, 6), bool)
    cells[0, 0] = cells[5, 5] = cells[3, 2] = True
    assert np.argwhere(component(cells, (0, 0))).tolist() == [[0, 0], [5, 5]]
    assert not component(cells, (1, 1)).any()


def test_csv_has_a_fixed_header_and_empty_cells() -> None:
    """Numbers are read back exactly; what does not apply is empty."""
    psi = np.sin(tau * (X - 3.2) / LENGTH) + 1j * np.sin(tau * (Y - 5.4) / LENGTH)
    rows = quantules(psi, LENGTH, least=0.1)
    head, *cells = csv.reader(io.StringIO(csv_text(rows)))
    assert tuple(head) == HEADER
    assert [row[0] for row in cells] == [str(number) for number in range(1, len(rows) + 1)]
    last = dict(zip(head, cells[-1], strict=True))
    assert (last["type"], last["z"], last["birth"], last["radius"]) == ("vortex", "", "", "")
    assert float(last["x"]) == rows[-1].place[0]


def test_three_dimensions_have_lumps_with_three_coordinates() -> None:
    """And no vortices: there they are lines."""
    axis = (np.arange(16) - 5 + 8) % 16 - 8
    ball = np.exp(-(axis[:, None, None] ** 2 + axis[None, :, None] ** 2 + axis[None, None, :] ** 2) / 8)
    (blob,) = quantules(np.sqrt(ball) + 0j, 16.0, least=0.1)
    assert blob.place == (5.0, 5.0, 5.0)
    assert blob.radius == pytest.approx(2 * sqrt(2 * np.log(2)), rel=0.1)
