"""Hunts whose answer is known: what the evolution hunter finds is held against the formula."""

import json
import math
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]

SMALL = ("hunt.generations=4", "hunt.population=9", "parameters.N=24")
LENGTH = 64.0
NEAREST = 5  # so many of the best sets must lie on the line
TOLERANCE = 0.15  # in 1 + bc; the window holds values from −5 to 1
PRECISION = 0.02  # of a measured coefficient, where its modulus is below 1
Row = Mapping[str, float]


@pytest.fixture(scope="module")
def hunt(tmp_path_factory: pytest.TempPathFactory, project_root: Path, hsm_command: Path) -> list[Row]:
    """Run sweeps/benjamin_feir.yaml in a small form, 36 runs; return the rows of its results."""
    root = tmp_path_factory.mktemp("benjamin-feir")
    shutil.copytree(project_root / "sweeps", root / "sweeps", ignore=shutil.ignore_patterns("outputs"))

    def hsm(*words: str) -> str:
        done = subprocess.run(
            [hsm_command, *words], cwd=root, capture_output=True, text=True, timeout=380, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    hsm("sweep", "run", "sweeps/benjamin_feir.yaml", "--source", "local:2", "-q", *SMALL)
    rows: list[Row] = json.loads(hsm("results", "last", "--json"))["data"]["rows"]
    assert len(rows) == 36
    return rows


def coefficient(b: float, c: float) -> float:
    """Return what the measured phase diffusion coefficient must be: −λ/k² of the longest wave of the box."""
    k2 = (2 * math.pi / LENGTH) ** 2
    return (1 + k2 - math.sqrt(1 - 2 * b * c * k2 - (b * k2) ** 2)) / k2


def test_each_run_measures_the_coefficient_of_the_formula(hunt: list[Row]) -> None:
    """The measure is right before anything is said of the hunter that follows it."""
    near = [row for row in hunt if row["metric.distance"] < 1]
    assert len(near) > 10
    for row in near:
        known = coefficient(row["param.b"], row["param.c"])
        assert row["metric.phase_diffusion"] == pytest.approx(known, abs=PRECISION)


def test_the_evolution_hunter_finds_the_benjamin_feir_line(hunt: list[Row]) -> None:
    """Its best sets lie on 1 + bc = 0; the best of its first draws, which are of chance, do not."""

    def off(rows: list[Row]) -> list[float]:
        best = sorted(rows, key=lambda row: row["metric.distance"])[:NEAREST]
        return [abs(1 + row["param.b"] * row["param.c"]) for row in best]

    assert max(off(hunt)) <= TOLERANCE
    assert min(off(hunt)) <= TOLERANCE / 5
    drawn = [row for row in hunt if row["meta.generation"] == 1]
    assert len(drawn) == 9
    assert max(off(drawn)) > TOLERANCE
