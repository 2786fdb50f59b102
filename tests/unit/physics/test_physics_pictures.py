"""The pictures of a run: where things are in them, and whether everybody can read them."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hsm.physics.canvas import LEFT, MAP, SIDE, TOP, WIDTH, Stamp, linear
from hsm.physics.colours import Colours, cyclic, sequential
from hsm.physics.grid import Grid
from hsm.physics.history import HistoryFile
from hsm.physics.metrics import diagnose
from hsm.physics.movie import NoMovie, make_movie
from hsm.physics.parameters import Params
from hsm.physics.picture import density_png, phase_png, profile_png, radial, space_time_png, spectrum_png
from hsm.physics.record import record
from hsm.physics.simulate import Frame

N = 32
CELL = SIDE / N


def opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def plot(content: bytes) -> np.ndarray:
    """Return the grey levels of the plot itself."""
    inside = (LEFT, TOP, LEFT + SIDE, TOP + SIDE)
    return np.asarray(opened(content).convert("RGBA").convert("L").crop(inside), int)


def linear_light(colours: Colours) -> np.ndarray:
    share = colours / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def luminance(colours: Colours) -> np.ndarray:
    return np.asarray(linear_light(colours) @ [0.2126, 0.7152, 0.0722])


def mesh() -> tuple[np.ndarray, np.ndarray]:
    turn = 2 * np.pi * np.arange(N) / N
    x, y = np.meshgrid(turn, turn, indexing="ij")
    return x, y


def test_density_map_rises_evenly_in_lightness() -> None:
    """Perceived lightness grows in equal steps from dark to light."""
    lightness = np.cbrt(luminance(sequential(MAP)))
    assert np.all(np.diff(lightness[::8]) > 0)
    assert lightness[0] < 0.2
    assert lightness[-1] > 0.95


def test_phase_map_closes_and_is_read_without_red_and_green() -> None:
    """The ends meet; equal lightness means opposite sides, and these differ in blue, which all see."""
    colours = cyclic(MAP)
    steps = np.abs(np.diff(np.vstack([colours, colours[:1]]).astype(int), axis=0)).max(axis=1)
    assert steps[-1] <= steps[:-1].max()
    lightness = np.cbrt(luminance(colours))
    assert lightness[0] > 0.9
    assert lightness[MAP // 2] < 0.3
    assert np.abs(lightness - np.roll(lightness[::-1], 1)).max() < 0.12
    quarter, other = colours[MAP // 4].astype(int), colours[3 * MAP // 4].astype(int)
    assert quarter[2] - other[2] > 120


def test_picture_shows_the_field_where_it_is() -> None:
    """The x axis runs to the right and y upwards, and a point lies at its coordinates."""
    rho = np.ones((N, N))
    rho[24, 8] = 4  # right, below the middle
    rho[8, 24] = 0  # left, above the middle
    shown = plot(density_png(rho, 8.0, "density", "a caption"))
    bright, dark = (np.unravel_index(place, shown.shape) for place in (shown.argmax(), shown.argmin()))
    assert bright == pytest.approx((SIDE - 8 * CELL, 24 * CELL), abs=2)
    assert dark == pytest.approx((SIDE - 24 * CELL, 8 * CELL), abs=2)


def test_picture_carries_its_caption() -> None:
    """As PNG text, beside axes that are drawn."""
    image = opened(density_png(np.ones((N, N)), 8.0, "density", "a caption"))
    assert image.info["Description"] == "a caption"
    assert image.size[0] == WIDTH
    labels = np.asarray(image.convert("RGBA"))[TOP + SIDE + 2 :, LEFT:, 3]
    assert np.count_nonzero(labels) > 100


def test_defects_are_marked_by_charge_where_the_phase_turns() -> None:
    """A white disc for +1, a black square for −1, each in the plaquette that its vortex is in."""
    x, y = mesh()
    psi = np.sin(x - np.pi / 2 - 0.1) + 1j * np.sin(
        y - 0.1
    )  # vortices at x of ±π/2 + 0.1, y of 0.1 and π + 0.1
    content = phase_png(psi, 8.0, "phase", "")
    pixels = np.asarray(opened(content).convert("RGBA").convert("RGB"), int)
    pixels = pixels[TOP : TOP + SIDE, LEFT : LEFT + SIDE]
    quarter, half = SIDE // 4, SIDE // 2
    marks = {(quarter, 0): 255, (quarter + half, half): 255, (quarter, half): 0, (quarter + half, 0): 0}
    for (right, up), tone in marks.items():
        column, row = right + CELL / 2, SIDE - 1 - up - CELL / 2
        assert tuple(pixels[round(row), round(column)]) == (tone,) * 3, (right, up)


def test_a_mark_at_the_edge_of_the_picture_is_cut_off() -> None:
    """What of a mark lies outside covers nothing on the other side."""
    pixels, drawn = np.zeros((9, 9), np.uint8), Stamp(ink=np.ones((5, 5), np.uint8), x=-2, y=-2)
    for place in [(0, 0), (8, 8), (-20, 4), (4, 20)]:
        covered, ink = drawn.on(pixels, place)
        np.copyto(covered, ink)
    assert pixels.sum() == 2 * 9
    assert pixels[:3, :3].all()
    assert pixels[6:, 6:].all()


def test_phase_is_drawn_where_it_is() -> None:
    """Of a plane wave along x the dark line, phase 0, is upright and at x = 0."""
    x, _ = mesh()
    shown = plot(phase_png(np.exp(1j * x), 8.0, "phase", ""))
    rows = shown[50:450, 1:-1]
    assert np.abs(rows.argmax(axis=1) - SIDE / 2).max() < 8
    assert rows[:, 0].max() < 60


def test_spectrum_is_the_mean_power_of_each_shell() -> None:
    """A plane wave has all its power in one shell, shared among the modes of that shell."""
    grid = Grid(points=N, length=8.0)
    x, _ = mesh()
    k, power = radial(2 * np.exp(3j * x), grid)
    shell = np.rint(np.sqrt(grid.k_squared_full()) * 8 / (2 * np.pi)).astype(int)
    assert k[2] == pytest.approx(3 * 2 * np.pi / 8)
    assert power[2] == pytest.approx(4 / np.count_nonzero(shell == 3))
    assert np.delete(power, 2).max() < 1e-25


@pytest.mark.parametrize("psi", [np.zeros((N, N), complex), np.full((N, N), 1 + 0j)])
def test_pictures_of_an_empty_and_of_a_uniform_field_are_drawn(psi: np.ndarray) -> None:
    """Nothing is divided by zero, and no logarithm of zero is taken."""
    grid = Grid(points=N, length=8.0)
    drawn = [density_png(np.abs(psi) ** 2, 8.0, "", ""), phase_png(psi, 8.0, "", "")]
    drawn += [spectrum_png(psi, grid, "", ""), profile_png(psi[0], 8.0, "", "")]
    drawn.append(space_time_png(np.abs(psi[:1]) ** 2, np.zeros(1), 8.0, "", ""))
    assert all(content.startswith(b"\x89PNG") for content in drawn)


def test_space_time_diagram_runs_upwards_in_time() -> None:
    """The first frame is at the bottom, and a point lies at its coordinate."""
    densities = np.zeros((10, N), np.float32)
    densities[9, 8] = 1
    shown = plot(space_time_png(densities, np.arange(10.0), 8.0, "", ""))
    assert np.unravel_index(shown.argmax(), shown.shape) == pytest.approx((0, 8 * CELL), abs=3)


def test_axes_have_round_values() -> None:
    """Four to eight of them, from end to end."""
    for high in (0.013, 1.0, 1.9, 56.0, 200.0):
        values = [value for value, _ in linear("x", 0, high).ticks]
        assert 3 <= len(values) <= 8
        assert values[0] == 0
        assert values[-1] <= high * (1 + 1e-9)


def test_movie_shows_every_frame_on_one_scale(tmp_path: Path) -> None:
    """Also of the part that a run left; kinds that Pillow cannot animate are refused."""
    with HistoryFile(tmp_path / "rho_history.h5", (16, 16), {"dimension": 2, "L": 8.0}) as file:
        for t in (0.0, 1.0, 2.0):
            psi = np.full((16, 16), np.sqrt(1 + t), np.complex64)
            shown = Frame(t=t, step=0, psi=psi, omega=None, figures=diagnose(psi, 4))
            file.append(record(Params(N=16, L=8), shown, 0))
    path, movie = tmp_path / "rho_history.h5.part", tmp_path / "movie.gif"
    assert make_movie(path, movie) == 3
    tones = []
    with Image.open(movie) as opened_movie:
        for number in range(3):
            opened_movie.seek(number)
            tones.append(int(np.asarray(opened_movie.convert("L"))[TOP + 100, LEFT + 100]))
    assert tones == sorted(tones)
    assert tones[0] < tones[2]
    with pytest.raises(NoMovie, match="expected a name that ends in"):
        make_movie(path, tmp_path / "movie.mp4")
