"""Seeded random numbers that depend on the seed and on nothing else.

They are computed from the raw bits of numpy's Philox generator, whose stream numpy guarantees; the
distributions of `numpy.random.Generator` may change between releases.
"""

import enum

import numpy as np
from numpy.typing import NDArray


class Purpose(enum.IntEnum):
    """What a stream is for: the second half of the key, so that streams of one seed are independent."""

    INITIAL_NOISE = 1
    SOURCE_SITES = 2
    SPECTRUM_NULL = 3
    TARGET_NULL = 4
    FIELD_NULL = 5
    COHERENCE_NULL = 6
    STRUCTURE_NULL = 7


def uniforms(seed: int, purpose: Purpose, count: int) -> NDArray[np.floating]:
    """Return `count` numbers in [0, 1) with 53 random bits each."""
    bits = np.random.Philox(key=np.array([seed, purpose], np.uint64)).random_raw(count)
    return (bits >> np.uint64(11)) * 2.0**-53


def complex_normals(seed: int, purpose: Purpose, count: int) -> NDArray[np.complexfloating]:
    """Return `count` complex numbers of unit mean square, normal in both parts (Box and Muller's method)."""
    radius, angle = uniforms(seed, purpose, 2 * count).reshape(2, count)
    normals: NDArray[np.complexfloating] = np.sqrt(-np.log1p(-radius)) * np.exp(2j * np.pi * angle)
    return normals
