"""The `gp` hunter: a Gaussian process over what is known, asked where most improvement is expected.

For few and dear tasks in up to about ten dimensions. The process is scikit-learn's; Optuna's would need
PyTorch, two gigabytes for the same mathematics.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any

from hsm.core.spec import Choices, SweepSpec
from hsm.hunt.guided import SEED_BITS, Draw, GuidedHunter, Replay, Told, load, need
from hsm.hunt.options import Number, Word, read_options
from hsm.hunt.random_search import hunt_of, refuse_several
from hsm.hunt.space import Genome, Space
from hsm.hunt.standing import best_first
from hsm.hunt.variation import reflect

FITTED = 300
"""At most so many sets are fitted, half of them the best and half the latest: a fit costs their cube."""

OPTIONS: Mapping[str, Number | Word] = {
    "startup": Number(default=0, low=0, high=100_000, integer=True),
    "candidates": Number(default=512, low=16, high=100_000, integer=True),
}
"""Before `startup` scored sets (0: twice the dimensions, at least 6) draws are random."""


def build(spec: SweepSpec) -> GuidedHunter:
    """Build the hunter of a sweep.

    Raises:
        ConfigError: an option or the objectives are wrong, or the package is missing.
    """
    hunt = hunt_of(spec)
    settings = read_options(hunt.options, OPTIONS)
    refuse_several(hunt)
    need("scikit-learn", hunt.hunter, "sklearn")
    space = Space(dimensions=hunt.space)
    return GuidedHunter(spec=spec, hunt=hunt, space=space, settings=settings, model=expected)


def expected(replay: Replay, rng: Random) -> Draw:
    """Fit the process; each draw takes the point of most expected improvement, and believes its own guess.

    The next draw then looks elsewhere (the kriging believer of Ginsbourger, Le Riche and Carraro, 2010).
    """
    startup = replay.settings.count("startup") or max(6, 2 * len(replay.space.dimensions))
    if len(replay.scored) < startup:
        return lambda: replay.space.random(rng)
    told = _chosen(replay.scored)
    believer = _Believer(replay, told, rng)
    return believer.draw


class _Believer:
    """A fitted process and the points that it was told or has proposed."""

    def __init__(self, replay: Replay, told: Sequence[Told], rng: Random) -> None:
        self._numpy = load("numpy")
        self._replay = replay
        self._rng = rng
        self._genomes = [one.genome for one in told]
        self._points = [_features(replay.space, one.genome) for one in told]
        self._values = _flattened([one.entry.costs[0] for one in told])
        self._process = _process(len(self._points[0]), rng.getrandbits(SEED_BITS))
        with load("threadpoolctl").threadpool_limits(1):  # the same sums on every machine, and quicker so
            self._fit()
        self._process.set_params(kernel=self._process.kernel_, optimizer=None)  # from here it only conditions

    def draw(self) -> Genome:
        """Return the candidate of most expected improvement."""
        candidates = list(self._candidates())
        features = [_features(self._replay.space, genome) for genome in candidates]
        with load("threadpoolctl").threadpool_limits(1):
            if len(self._points) > len(self._genomes):
                self._fit()
            mean, deviation = self._process.predict(self._numpy.array(features), return_std=True)
        gains = [_gain(min(self._values), m, s) for m, s in zip(mean, deviation, strict=True)]
        best = max(range(len(gains)), key=gains.__getitem__)
        self._points.append(features[best])
        self._values.append(float(mean[best]))
        return candidates[best]

    def _fit(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a length scale at its bound is no news to a user
            self._process.fit(self._numpy.array(self._points), self._numpy.array(self._values))

    def _candidates(self) -> Iterator[Genome]:
        """Yield points from the whole space, and as many around the best ones at all scales."""
        count = self._replay.settings.count("candidates")
        best = sorted(range(len(self._genomes)), key=self._values.__getitem__)[:5]
        for index in range(count):
            if index % 2:
                yield self._replay.space.random(self._rng)
                continue
            width = 10.0 ** self._rng.uniform(-3.0, -0.5)
            centre = self._genomes[best[index // 2 % len(best)]]
            yield tuple(reflect(self._rng.gauss(unit, width)) for unit in centre)


def _process(size: int, seed: int) -> Any:
    kernels = load("sklearn.gaussian_process.kernels")
    kernel = kernels.ConstantKernel(1.0, (1e-2, 1e3)) * kernels.Matern(
        [0.5] * size, (1e-2, 1e2), nu=2.5
    ) + kernels.WhiteKernel(1e-4, (1e-8, 1.0))
    process = load("sklearn.gaussian_process").GaussianProcessRegressor
    return process(kernel, normalize_y=True, random_state=seed)


def _features(space: Space, genome: Genome) -> list[float]:
    """Return a point as the process sees it: choices have no order, so each is a direction of its own."""
    features: list[float] = []
    for dimension, unit in zip(space.dimensions.values(), genome, strict=True):
        if isinstance(dimension, Choices):
            cell = min(int(unit * len(dimension.values)), len(dimension.values) - 1)
            features += [float(cell == index) for index in range(len(dimension.values))]
        else:
            features.append(unit)
    return features


def _flattened(costs: Sequence[float]) -> list[float]:
    """Return costs with the bad ones drawn in: how bad they are says little about where the best is.

    Above the median, a cost counts by its logarithm, in units of what lies between the best and the median.
    """
    ordered = sorted(costs)
    best, middle = ordered[0], ordered[len(ordered) // 2]
    unit = middle - best or 1.0
    return [
        (cost - best) / unit if cost <= middle else 1.0 + math.log1p((cost - middle) / unit) for cost in costs
    ]


def _gain(best: float, mean: float, deviation: float) -> float:
    if deviation <= 0.0:
        return max(0.0, best - mean)
    z = (best - mean) / deviation
    density = math.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    return float((best - mean) * 0.5 * math.erfc(-z / math.sqrt(2)) + deviation * density)


def _chosen(scored: Sequence[Told]) -> list[Told]:
    if len(scored) <= FITTED:
        return list(scored)
    best = {id(entry) for entry in best_first([one.entry for one in scored])[: FITTED // 2]}
    latest = {id(one.entry) for one in scored[-FITTED // 2 :]}
    return [one for one in scored if id(one.entry) in best | latest]
