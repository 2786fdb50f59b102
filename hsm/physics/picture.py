"""The pictures of a field: its density, its phase with the defects, and its spectrum.

Of a three-dimensional field the plane z = 0 is shown. The density of a one-dimensional run is a diagram of
space and time, its phase a curve.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hsm.physics.canvas import MAP, SIDE, Axis, Canvas, linear
from hsm.physics.colours import cyclic, sequential
from hsm.physics.grid import Grid
from hsm.physics.metrics import windings

Field = NDArray[np.complexfloating]
Density = NDArray[np.floating]
LENGTH, TIME = "length", "time"
PAD = 4  # points, more than the resampling looks at
DECADES = 14  # the spectrum is drawn this far below its maximum


def density_png(rho: Density, length: float, heading: str, caption: str, top: float | None = None) -> bytes:
    """Draw a density, shape (N, N), x to the right and y upwards, on a scale up to `top` or its maximum."""
    top = top or float(rho.max()) or 1.0
    canvas = Canvas()
    canvas.field(_enlarged(_wrapped(rho / top)))
    canvas.bar(linear("density", 0, top))
    canvas.frame(_place("x", length), _place("y", length), heading)
    return canvas.png(sequential(MAP), caption)


def space_time_png(
    densities: Density, times: NDArray[np.floating], length: float, heading: str, caption: str
) -> bytes:
    """Draw a density over space, to the right, and time, upwards; shape (frames, N)."""
    top = float(densities.max()) or 1.0
    rows = np.repeat(densities, 2, axis=0) if len(densities) == 1 else densities
    wide = np.pad((rows / top).astype(np.float32)[::-1], [(0, 0), (PAD, PAD)], mode="wrap")
    box = (PAD + 0.5, 0.5, wide.shape[1] - PAD + 0.5, len(wide) - 0.5)
    canvas = Canvas()
    image = Image.fromarray(wide).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    canvas.field(np.clip(np.asarray(image), 0, 1))
    canvas.bar(linear("density", 0, top))
    last = float(times[-1]) or 1.0
    canvas.frame(_place("x", length), linear(f"t ({TIME})", 0, last), heading)
    return canvas.png(sequential(MAP), caption)


def phase_png(psi: Field, length: float, heading: str, caption: str) -> bytes:
    """Draw the phase of a field, shape (N, N), and its defects: discs turn by +2π, squares by −2π."""
    canvas = Canvas()
    real, imaginary = (_enlarged(_wrapped(part)) for part in (psi.real, psi.imag))
    canvas.field(np.arctan2(imaginary, real) / (2 * np.pi) + 0.5)
    halves = [(-1.0, "-1"), (-0.5, "-1/2"), (0.0, "0"), (0.5, "1/2"), (1.0, "1")]
    canvas.bar(Axis(label="phase / pi", low=-1, high=1, ticks=halves))
    turns = windings(psi)
    legend = []
    for sign, white in ((1, True), (-1, False)):
        places = np.argwhere(turns == sign)
        canvas.dots((places + 0.5) / len(psi), white=white)
        legend.append((white, f"charge {'+' if white else '-'}1: {len(places)}"))
    canvas.legend(legend)
    canvas.frame(_place("x", length), _place("y", length), heading)
    return canvas.png(cyclic(MAP), caption)


def profile_png(psi: Field, length: float, heading: str, caption: str) -> bytes:
    """Draw the phase of a one-dimensional field over x."""
    canvas = Canvas(wide=True)
    shares = np.angle(psi) / (2 * np.pi) + 0.5
    canvas.curve([(j / len(psi), float(share)) for j, share in enumerate(shares)], joined=False)
    halves = [(-1.0, "-1"), (-0.5, "-1/2"), (0.0, "0"), (0.5, "1/2"), (1.0, "1")]
    canvas.frame(_place("x", length), Axis(label="phase / pi", low=-1, high=1, ticks=halves), heading)
    return canvas.png(cyclic(MAP), caption)


def spectrum_png(psi: Field, grid: Grid, heading: str, caption: str) -> bytes:
    """Draw the power per mode, averaged over shells of equal |k|, on logarithmic scales."""
    k, power = radial(psi, grid)
    unit = 2 * np.pi / grid.length
    top = float(np.ceil(np.log10(power.max()))) if power.max() > 0 else 0.0
    shown = power > 10 ** (top - DECADES)
    low = float(np.floor(np.log10(power[shown].min()))) if shown.any() else top - 1
    x, y = (
        _decades("k (1/length)", unit, unit * grid.reach),
        _powers("power per mode", low, max(top, low + 1)),
    )
    curve = [
        (x.share(np.log10(a)), y.share(np.log10(b))) for a, b in zip(k[shown], power[shown], strict=True)
    ]
    canvas = Canvas(wide=True)
    canvas.curve(curve, joined=True)
    canvas.rule(x.share(np.log10(0.9 * unit * grid.reach)), "tail")
    canvas.frame(x, y, heading)
    return canvas.png(sequential(MAP), caption)


def radial(psi: Field, grid: Grid) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return k and the mean |ψ̂|² of the modes whose |k| is nearest to it, for k = 1, 2, … units of 2π/L."""
    unit = 2 * np.pi / grid.length
    shell = np.rint(np.sqrt(grid.k_squared_full()) / unit).astype(int).ravel()
    power = np.bincount(shell, grid.spectrum(psi).ravel()) / np.maximum(np.bincount(shell), 1)
    return unit * np.arange(1, grid.reach), power[1 : grid.reach]


def _place(name: str, length: float) -> Axis:
    return linear(f"{name} ({LENGTH})", 0, length)


def _powers(label: str, low: float, high: float) -> Axis:
    """Return an axis of log10, labelled with powers of ten."""
    step = max(1, round((high - low) / 7))
    ticks = [(float(k), f"10^{k}") for k in range(int(low), int(high) + 1, step)]
    return Axis(label=label, low=low, high=high, ticks=ticks)


def _decades(label: str, low: float, high: float) -> Axis:
    """Return an axis of log10 from `low` to `high`, labelled at 1, 2 and 5 times powers of ten."""
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    values = [factor * 10.0**k for k in decades for factor in (1, 2, 5)]
    ticks = [(float(np.log10(v)), f"{v:g}") for v in values if low <= v <= high]
    return Axis(label=label, low=float(np.log10(low)), high=float(np.log10(high)), ticks=ticks)


def _wrapped(values: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the values with y upwards, and some of what comes after each periodic seam."""
    return np.pad(np.asarray(values, np.float32).T[::-1], PAD, mode="wrap")


def _enlarged(wide: NDArray[np.float32]) -> NDArray[np.float32]:
    """Resample to SIDE pixels across the seams; the centre of the first sample is the corner, x = y = 0."""
    end = wide.shape[0] - PAD
    box = (PAD + 0.5, PAD - 0.5, end + 0.5, end - 0.5)
    return np.asarray(Image.fromarray(wide).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box))
