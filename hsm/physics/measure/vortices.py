"""Vortices of a field in two dimensions, and their tracks from frame to frame. Pure.

A vortex is a plaquette around which the phase turns (`metrics.windings`); its place is the zero of the
bilinear interpolation of ψ between the four corners.

Tracks. Vortices of two frames are matched one to one, same charge to same charge, so that the sum of the
squared periodic distances is least (H. W. Kuhn's assignment), none over more than `reach`. What is left of
the earlier frame has died, what is left of the later one is born; two of opposite charge that die within
`reach` of each other annihilated, two that are born so are a pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsm.physics.metrics import Field, windings

Numbers = NDArray[np.floating]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vortex:
    """One zero of ψ: its place, length, and the turns of the phase around it."""

    x: float
    y: float
    charge: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One vortex over time: its places at frame `first` and those after it.

    born_with, died_with: the number of the track of opposite charge that came or went with it.
    """

    number: int
    charge: int
    first: int
    places: tuple[tuple[float, float], ...]
    born_with: int | None = None
    died_with: int | None = None

    @property
    def last(self) -> int:
        """The last frame that it is in."""
        return self.first + len(self.places) - 1


def vortices(psi: Field, length: float) -> tuple[Vortex, ...]:
    """Return the vortices of a field (N, N) in a box of side `length`, in the order of their plaquettes."""
    turns = windings(psi)
    spacing = length / psi.shape[0]
    found = []
    for i, j in np.argwhere(turns):
        u, w = zero_in_cell(_corners(psi, int(i), int(j)))
        place = (np.array([i + u, j + w]) * spacing) % length
        found.append(Vortex(x=float(place[0]), y=float(place[1]), charge=int(turns[i, j])))
    return tuple(found)


def _corners(psi: Field, i: int, j: int) -> Field:
    n = psi.shape[0]
    return psi[np.ix_([i, (i + 1) % n], [j, (j + 1) % n])]


def zero_in_cell(corners: Field) -> tuple[float, float]:
    """Return where the bilinear interpolation of four corners is zero, in 0 … 1, by Newton's method."""
    at = np.array([0.5, 0.5])
    for _ in range(8):
        u, w = at
        along_u, along_w = np.array([1 - u, u]), np.array([1 - w, w])
        value = along_u @ corners @ along_w
        slopes = np.array([np.array([-1, 1]) @ corners @ along_w, along_u @ corners @ np.array([-1, 1])])
        jacobian = np.array([slopes.real, slopes.imag])
        if abs(np.linalg.det(jacobian)) < 1e-12 * float(np.sum(np.abs(slopes) ** 2)):
            break
        at = np.clip(at - np.linalg.solve(jacobian, [value.real, value.imag]), 0, 1)
    return float(at[0]), float(at[1])


def tracks(frames: Sequence[Sequence[Vortex]], length: float, reach: float) -> tuple[Track, ...]:
    """Return the tracks of all vortices of some frames, by their numbers from 0."""
    made: list[Track] = []
    open_: list[int] = []  # the tracks of the vortices of the frame before
    for at, frame in enumerate(frames):
        before = [
            Vortex(x=made[n].places[-1][0], y=made[n].places[-1][1], charge=made[n].charge) for n in open_
        ]
        matched = dict(pairs(before, frame, length, reach))
        later = {new: open_[old] for old, new in matched.items()}
        born = [new for new in range(len(frame)) if new not in later]
        died = [number for old, number in enumerate(open_) if old not in matched]
        for new, number in later.items():
            places = (*made[number].places, (frame[new].x, frame[new].y))
            made[number] = replace(made[number], places=places)
        for new in born:
            later[new] = len(made)
            vortex = frame[new]
            made.append(
                Track(number=len(made), charge=vortex.charge, first=at, places=((vortex.x, vortex.y),))
            )
        for one, other in _couples(made, died, length, reach, end=-1):
            made[one], made[other] = replace(made[one], died_with=other), replace(made[other], died_with=one)
        if at:
            for one, other in _couples(made, [later[new] for new in born], length, reach, end=0):
                made[one] = replace(made[one], born_with=other)
                made[other] = replace(made[other], born_with=one)
        open_ = [later[new] for new in range(len(frame))]
    return tuple(made)


def pairs(
    old: Sequence[Vortex], new: Sequence[Vortex], length: float, reach: float
) -> Iterator[tuple[int, int]]:
    """Yield which vortex of an earlier frame is which of a later one, by their places in the sequences."""
    for charge in sorted({vortex.charge for vortex in old}):
        mine = [at for at, vortex in enumerate(old) if vortex.charge == charge]
        theirs = [at for at, vortex in enumerate(new) if vortex.charge == charge]
        for row, column in assigned(_squares(old, mine, new, theirs, length), reach):
            yield mine[row], theirs[column]


def assigned(squares: Numbers, reach: float) -> list[tuple[int, int]]:
    """Return the assignment of rows to columns with the most pairs within reach and the least squares."""
    from scipy.optimize import linear_sum_assignment

    if not squares.size:
        return []
    beyond = (sum(squares.shape) + 1) * reach**2  # one pair more within reach is always worth it
    rows, columns = linear_sum_assignment(np.where(squares <= reach**2, squares, beyond))
    return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if squares[r, c] <= reach**2]


def _squares(
    old: Sequence[Vortex], mine: Sequence[int], new: Sequence[Vortex], theirs: Sequence[int], length: float
) -> Numbers:
    one = np.array([(old[at].x, old[at].y) for at in mine]).reshape(-1, 1, 2)
    other = np.array([(new[at].x, new[at].y) for at in theirs]).reshape(1, -1, 2)
    return squared_distance(one, other, length)


def squared_distance(one: Numbers, other: Numbers, length: float) -> Numbers:
    """Return squared distances of places (…, 2) on the torus."""
    apart = (one - other + length / 2) % length - length / 2
    squares: Numbers = np.sum(apart**2, axis=-1)
    return squares


def _couples(
    made: Sequence[Track], numbers: Sequence[int], length: float, reach: float, *, end: int
) -> list[tuple[int, int]]:
    """Return the couples of opposite charge among tracks, by the place at one of their ends."""
    plus = [number for number in numbers if made[number].charge > 0]
    minus = [number for number in numbers if made[number].charge < 0]
    one = np.array([made[number].places[end] for number in plus]).reshape(-1, 1, 2)
    other = np.array([made[number].places[end] for number in minus]).reshape(1, -1, 2)
    return [(plus[r], minus[c]) for r, c in assigned(squared_distance(one, other, length), reach)]
