"""The peak of the structure factor: at which wave number the density is patterned, and against what chance.

structure_peak_k: the mean |k| of the shell with the largest P_j (`spectrum`), weighted by power, 1/length.
structure_peak_excess: its y, the height above the running median, nats. Its null is the spectrum null: the
same background without peaks, in whose draws the largest P_j is looked for in the same way.

There is no peak where the largest P_j is that of the longest waves: the spectrum then falls from there. The
excess needs a background too. Within EDGE shells of either end half of the window of the running median is a
reflection, and where the spectrum falls steeply the median is that of lower shells: what is merely the top of
a fall would stand out, on fields of chance as well.
"""

from collections.abc import Mapping

import numpy as np

from hsm.physics.draws import Purpose
from hsm.physics.measure.chance import Compared, NotComputable, Stream, compare
from hsm.physics.measure.spectrum import WINDOW, Numbers, Spectrum, excess

DRAWS = 1_999
EDGE = (WINDOW // 2 + 1) // 2  # from here on the median of a reflected fall is that of its middle


def peak(found: Spectrum) -> Mapping[str, float]:
    """Return structure_peak_k.

    Raises:
        NotComputable: the spectrum has no peak within its ends.
    """
    return {"structure_peak_k": float(found.centre[_place(found)])}


def height(found: Spectrum) -> Mapping[str, float]:
    """Return structure_peak_excess.

    Raises:
        NotComputable: there is no peak, or it is where the background is not known.
    """
    at = _place(found)
    if not EDGE <= at < found.k.size - EDGE:
        size, unit = ("long", "a larger L") if at < EDGE else ("short", "a larger N")
        raise NotComputable(
            f"the peak is at waves too {size} to tell it from the end of the spectrum: shell {at + 1} is not "
            f"within {EDGE + 1} … {found.k.size - EDGE}; use {unit}"
        )
    return {"structure_peak_excess": float(found.above[at])}


def _place(found: Spectrum) -> int:
    at = int(np.argmax(found.log_power))
    if at in (0, found.k.size - 1):
        end = "longest" if at == 0 else "shortest"
        raise NotComputable(f"the density varies most at the {end} waves: its spectrum has no peak")
    return at


def peak_null(found: Spectrum, key: int) -> Compared:
    """Return the excess beside the spectrum null.

    Raises:
        NotComputable: there is no peak with a background, or hardly ever one in the null.
    """
    score, stream = height(found)["structure_peak_excess"], Stream(key, Purpose.STRUCTURE_NULL)

    def draw(count: int) -> Numbers:
        return heights(found.null(stream, count))

    return compare(score, draw, DRAWS, low_is_good=False)


def heights(log_power: Numbers) -> Numbers:
    """Return the excess at the largest P of spectra (rows, shells); NaN where that is too near to an end."""
    at = np.argmax(log_power, axis=-1)
    above = np.take_along_axis(excess(log_power), at[:, None], -1)[:, 0]
    return np.where((at >= EDGE) & (at < log_power.shape[-1] - EDGE), above, np.nan)
