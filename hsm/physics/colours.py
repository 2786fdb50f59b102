"""The colour maps of the pictures, drawn in the OKLab colour space (B. Ottosson, 2020).

`sequential` runs from deep blue through violet and orange to pale yellow with lightness rising evenly, so
equal steps look equal and it survives greyscale printing. `cyclic` is for angles: light at ±π, dark at 0,
blue on one way and orange on the other. Lightness tells the quarter and blue or orange the side, so it is
read as well by those who do not tell red from green.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Colours = NDArray[np.uint8]
# lightness, chroma and hue (degrees) at equal distances along the map
SEQUENTIAL = np.array(
    [
        [0.14, 0.045, 275],
        [0.32, 0.145, 288],
        [0.50, 0.190, 335],
        [0.68, 0.175, 395],
        [0.84, 0.135, 435],
        [0.97, 0.060, 465],
    ]
)
# lightness, a and b at −π, −3π/4, …, π
CYCLIC = np.array(
    [
        [0.93, 0.000, 0.005],
        [0.76, -0.035, -0.085],
        [0.56, -0.015, -0.160],
        [0.36, 0.015, -0.135],
        [0.20, 0.020, -0.010],
        [0.36, 0.100, 0.070],
        [0.56, 0.130, 0.115],
        [0.76, 0.060, 0.110],
        [0.93, 0.000, 0.005],
    ]
)


@cache
def sequential(count: int) -> Colours:
    """Return the map for densities, shape (count, 3), sRGB."""
    lightness, chroma, hue = _spread(SEQUENTIAL, count)
    angle = np.deg2rad(hue)
    return _srgb(np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1))


@cache
def cyclic(count: int) -> Colours:
    """Return the map for angles, from −π to just before π."""
    return _srgb(np.stack(_spread(CYCLIC, count + 1), axis=-1))[:-1]


def _spread(anchors: NDArray[np.floating], count: int) -> list[NDArray[np.floating]]:
    place = np.linspace(0, len(anchors) - 1, count)
    return [np.interp(place, np.arange(len(anchors)), column) for column in anchors.T]


def _srgb(oklab: NDArray[np.floating]) -> Colours:
    to_cones = np.array(
        [
            [1, 0.3963377774, 0.2158037573],
            [1, -0.1055613458, -0.0638541728],
            [1, -0.0894841775, -1.2914855480],
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip((oklab @ to_cones.T) ** 3 @ to_linear.T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    codes: Colours = np.rint(255 * coded).astype(np.uint8)
    return codes
