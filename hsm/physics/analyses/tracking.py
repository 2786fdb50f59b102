"""vortex-tracks: the cores of vortices over a run's whole history, as `vortex_tracks.csv`.

A history holds densities. The core of a vortex is a zero of the density, so the lowest points of ρ below
CORE of its mean are followed from frame to frame. Which way the phase turns is known of the last field
alone: a track that reaches it has the charge of the vortex that is there, an earlier one has none.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from hsm.physics.analyses.made import Made
from hsm.physics.measure.artifact import Artifact
from hsm.physics.measure.chance import NotComputable
from hsm.physics.measure.vortices import Track, Vortex, assigned, squared_distance, tracks, vortices

Numbers = NDArray[np.floating]
FILE = "vortex_tracks.csv"
HEADER = (
    *("track", "charge", "first_t", "last_t", "lifetime"),
    *("first_x", "first_y", "last_x", "last_y", "path_length"),
)
CORE = 0.25
REACH = 0.5
"""From one frame to the next a core moves less than this share of the mean distance between cores."""


def tracking(path: Path) -> Made:
    """Return the tracks of a history.

    Raises:
        NotComputable: the field is not of two dimensions, or not finite.
        UnreadableArtifact: the file is no finished history.
    """
    artifact = Artifact.read(path)
    psi = artifact.field
    if psi.ndim != 2:
        raise NotComputable("vortices are followed in two dimensions")
    length = artifact.params.L
    with h5py.File(path, "r", locking=False) as file:
        times = file["t"][:]
        frames = [cores(rho, length) for rho in file["rho"]]
    most = max((len(frame) for frame in frames), default=0)
    reach = REACH * length / max(1.0, most**0.5)
    found = charged(tracks(frames, length, reach), vortices(psi, length), len(frames) - 1, length, reach)
    lasting = [times[each.last] - times[each.first] for each in found]
    metrics = {
        "tracks": len(found),
        "most_at_once": most,
        "mean_lifetime": float(np.mean(lasting)) if lasting else None,
        "births": sum(each.first > 0 for each in found),
        "deaths": sum(each.last < len(frames) - 1 for each in found),
    }
    return Made(files={FILE: csv_text(found, times, length).encode()}, metrics=metrics)


def cores(rho: Numbers, length: float) -> list[Vortex]:
    """Return the lowest points of a density (N, N) that are low enough for a core, charge unknown (0).

    The place is that of the parabola through a point and its neighbours, along each axis.
    """
    values = np.asarray(rho, float)
    around = [np.roll(values, shift, axis) for axis in (0, 1) for shift in (1, -1)]
    corners = [np.roll(values, (i, j), (0, 1)) for i in (1, -1) for j in (1, -1)]
    is_low = np.all([values < other for other in (*around, *corners)], axis=0)
    spacing = length / len(values)
    found = []
    for i, j in np.argwhere(is_low & (values < CORE * values.mean())):
        steps = (_vertex(around[2 * axis][i, j], values[i, j], around[2 * axis + 1][i, j]) for axis in (0, 1))
        x, y = ((at + step) * spacing % length for at, step in zip((i, j), steps, strict=True))
        found.append(Vortex(x=float(x), y=float(y), charge=0))
    return found


def _vertex(before: float, here: float, after: float) -> float:
    """Return where a parabola through values at −1, 0 and 1 is lowest."""
    bend = before - 2 * here + after
    return 0.0 if bend <= 0 else float(0.5 * (before - after) / bend)


def charged(
    found: Sequence[Track], last: Sequence[Vortex], end: int, length: float, reach: float
) -> tuple[Track, ...]:
    """Return the tracks, those that reach the last field with the charge of the vortex there."""
    there = [each for each in found if each.last == end]
    one = np.array([each.places[-1] for each in there]).reshape(-1, 1, 2)
    other = np.array([(vortex.x, vortex.y) for vortex in last]).reshape(1, -1, 2)
    charges = {
        there[row].number: last[column].charge
        for row, column in assigned(squared_distance(one, other, length), reach)
    }
    return tuple(replace(each, charge=charges.get(each.number, 0)) for each in found)


def csv_text(found: Sequence[Track], times: Numbers, length: float) -> str:
    """Return the table, in the order in which tracks begin; a charge that is not known is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(_rows(found, times, length))
    return text.getvalue()


def _rows(found: Sequence[Track], times: Numbers, length: float) -> Iterator[tuple[object, ...]]:
    for each in found:
        first, last = float(times[each.first]), float(times[each.last])
        places = np.array(each.places)
        path = float(np.sqrt(squared_distance(places[1:], places[:-1], length)).sum())
        ends = (*each.places[0], *each.places[-1])
        numbers = (first, last, last - first, *ends, path)
        yield (each.number + 1, each.charge or "", *(repr(float(value)) for value in numbers))
