"""The `quality-diversity` hunter: the best set for each kind of behaviour (MAP-Elites, with `ribs`).

Two or more measures, metrics or parameters, span a grid of cells. Each cell keeps its best set; a
generation is bred from cells drawn at random, so that what is far from the best lives on where it is alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from random import Random
from typing import Any

from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import SweepSpec, Value
from hsm.hunt.guided import SEED_BITS, Draw, GuidedHunter, Replay, Told, load, need
from hsm.hunt.options import WHERE, Number, Word, read_options
from hsm.hunt.random_search import hunt_of, refuse_several
from hsm.hunt.space import Genome, Space

EXAMPLE = "measures: {entropy: [0, 1], length: [0, 20]}"
OPTIONS: Mapping[str, Number | Word] = {
    "cells": Number(default=10, low=1, high=1_000, integer=True),
    "iso_sigma": Number(default=0.05, low=1e-6, high=1.0),
    "line_sigma": Number(default=0.2, low=0.0, high=10.0),
}
"""`cells` for each measure; the sigmas are those of iso+line variation (Vassiliades and Mouret, 2018)."""


def build(spec: SweepSpec) -> GuidedHunter:
    """Build the hunter of a sweep.

    Raises:
        ConfigError: an option, the measures or the objectives are wrong, or the package is missing.
    """
    hunt = hunt_of(spec)
    given = dict(hunt.options)
    ranges = _ranges(given.pop("measures", None))
    settings = read_options(given, OPTIONS)
    refuse_several(hunt)
    need("ribs", hunt.hunter)

    def model(replay: Replay, rng: Random) -> Draw:
        return _bred(replay, ranges, rng)

    space = Space(dimensions=hunt.space)
    return GuidedHunter(spec=spec, hunt=hunt, space=space, settings=settings, model=model)


def _ranges(measures: Value) -> dict[str, tuple[float, float]]:
    if not isinstance(measures, Mapping) or len(measures) < 2:
        message = "expected two measures or more: metrics or parameters, each with [low, high]"
        raise ConfigError([Problem(where=f"{WHERE}.measures", message=message, hint=EXAMPLE)])
    ranges = {name: _range(value) for name, value in measures.items()}
    problems = [
        Problem(where=f"{WHERE}.measures.{name}", message="expected [low, high]", hint=EXAMPLE)
        for name, found in ranges.items()
        if found is None
    ]
    if problems:
        raise ConfigError(problems)
    return {name: found for name, found in ranges.items() if found is not None}


def _range(value: Value) -> tuple[float, float] | None:
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = (_number(item) for item in value)
    return (low, high) if low is not None and high is not None and low < high else None


def _number(value: Value) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None  # type: ignore[arg-type]


def _bred(replay: Replay, ranges: Mapping[str, tuple[float, float]], rng: Random) -> Draw:
    archive = _archive(replay, ranges, rng.getrandbits(SEED_BITS))
    if archive.empty:
        return lambda: replay.space.random(rng)
    size = len(replay.space.dimensions)
    emitter = load("ribs.emitters").IsoLineEmitter(
        archive,
        iso_sigma=replay.settings.number("iso_sigma"),
        line_sigma=replay.settings.number("line_sigma"),
        x0=[0.5] * size,
        bounds=[(0.0, 1.0)] * size,
        batch_size=replay.hunt.population,
        seed=rng.getrandbits(SEED_BITS),
    )
    waiting: list[Genome] = []

    def draw() -> Genome:
        if not waiting:
            waiting.extend(tuple(min(1.0, max(0.0, float(unit))) for unit in row) for row in emitter.ask())
        return waiting.pop(0)

    return draw


def _archive(replay: Replay, ranges: Mapping[str, tuple[float, float]], seed: int) -> Any:
    """Return the grid with everything in it that has a score and all measures; it draws parents itself."""
    archive = load("ribs.archives").GridArchive(
        solution_dim=len(replay.space.dimensions),
        dims=[replay.settings.count("cells")] * len(ranges),
        ranges=list(ranges.values()),
        seed=seed,
    )
    pairs = [(one, measured) for one in replay.scored if (measured := _measured(one, list(ranges)))]
    if pairs:
        archive.add(
            [one.genome for one, _ in pairs],
            [-one.entry.costs[0] for one, _ in pairs],
            [measured for _, measured in pairs],
        )
    return archive


def _measured(one: Told, names: list[str]) -> list[float]:
    """Return the measures of a set, or nothing where one is missing; a metric goes before a parameter."""
    values = [one.entry.metrics.get(name, _number(one.entry.params.get(name))) for name in names]
    known = [value for value in values if value is not None and math.isfinite(value)]
    return known if len(known) == len(names) else []
