"""Where the draws of null distributions come from, and what a p-value is.

A null is drawn from a stream that is keyed by the parameters of the run and by what is tested, so the same
artifact always gets the same p-value, and two runs never share their draws.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hsm.physics.draws import Purpose

Draw = Callable[[int], NDArray[np.floating]]
FEW = 199  # draws that every null gets
SLACK = 1e-4  # a draw that is worse by this share still reaches a score: surrogates are in single precision
ENOUGH = 10  # as many draws that reach the score among the first FEW settle that chance reaches it


class NotComputable(Exception):
    """A score does not exist for this artifact; `reason` is one sentence for its user."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Stream:
    """Random numbers of one null of one run, from the raw bits of numpy's Philox generator."""

    def __init__(self, key: int, purpose: Purpose) -> None:
        self._bits = np.random.Philox(key=np.array([key, purpose], np.uint64))

    def uniforms(self, *shape: int) -> NDArray[np.floating]:
        """Return numbers in (0, 1) with 53 random bits each."""
        raw = self._bits.random_raw(int(np.prod(shape)))
        raw >>= np.uint64(11)
        uniforms: NDArray[np.floating] = raw.reshape(shape) + 0.5
        uniforms *= 2.0**-53
        return uniforms


def key_of(params_json: str) -> int:
    """Return the key of the streams of a run."""
    return int.from_bytes(hashlib.sha256(params_json.encode()).digest()[:8], "big")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A score beside the draws of one null, NaN where a draw has no score: those do not count."""

    score: float
    drawn: NDArray[np.floating]
    low_is_good: bool

    @property
    def valid(self) -> int:
        """How many draws have a score."""
        return int(np.count_nonzero(np.isfinite(self.drawn)))

    @property
    def reached(self) -> int:
        """How many draws score at least as well."""
        sign = 1 if self.low_is_good else -1
        return _reached(sign * self.drawn, sign * self.score)

    @property
    def p(self) -> float:
        """The share of draws that score at least as well, the score itself counted among them."""
        return (1 + self.reached) / (1 + self.valid)


def compare(score: float, draw: Draw, most: int, *, low_is_good: bool) -> Compared:
    """Draw a null: FEW times, and `most` times in all where fewer than ENOUGH of those reach the score.

    `draw(count)` returns the scores of as many draws. A p-value of such draws is valid: under the null it is
    at most α with a chance of at most α (J. Besag and P. Clifford, Biometrika 78, 301, 1991).

    Raises:
        NotComputable: the null has hardly ever a score.
    """
    found = Compared(score=score, drawn=draw(min(FEW, most)), low_is_good=low_is_good)
    if found.reached < ENOUGH and most > found.drawn.size:
        found = replace(found, drawn=np.concatenate([found.drawn, draw(most - found.drawn.size)]))
    if found.valid < FEW // 10:
        raise NotComputable(f"only {found.valid} of {found.drawn.size} draws of its null have such a score")
    return found


def _reached(drawn: NDArray[np.floating], score: float) -> int:
    """Return how many draws are as low as the score; NaN is not."""
    return int(np.count_nonzero(drawn <= score + SLACK * abs(score)))
