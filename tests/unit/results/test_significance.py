"""The analysis of p-values: candidates, their confirmation, and what it refuses to claim."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from hsm.config import Project, build_sweep
from hsm.core.model import History
from hsm.core.spec import Value
from hsm.hunt.grid import GridHunter
from hsm.results import Results
from hsm.results.collect import gathered
from hsm.results.rows import Row
from hsm.results.significance import significance


def runs(p: Sequence[float | None], *, b: Sequence[float] = (), seeds: Sequence[int] = ()) -> Results:
    """Return a sweep: a p-value for each run; its parameter b and its seed differ by default in b."""
    cells: list[Row] = []
    for at, value in enumerate(p):
        row: dict[str, Value] = {
            "meta.sweep": "hunt-1",
            "meta.task": f"task_{at + 1:04}",
            "meta.path": f"/tasks/{at + 1}",
            "meta.seed": seeds[at] if seeds else 0,
            "param.b": b[at] if b else float(at),
            "param.N": 64,
            "metric.ring_p_value": value,
        }
        cells.append(row)
    return gathered(cells, [])


def claim(results: Results) -> dict[str, Any]:
    return dict(significance(results)["ring_p_value"])


def test_q_values_are_columns_beside_their_p_values() -> None:
    """Of every p-value, in every table; a run without one has none."""
    results = runs([0.01, None, 0.5])
    assert results["metric.ring_q_value"] == pytest.approx([0.02, None, 0.5])
    assert "metric.ring_q_value" in results.columns
    assert not any("q_value" in name for name in gathered([{"metric.score": 1.0}], []).columns)


def test_a_result_that_stands_for_two_tasks_is_tested_once() -> None:
    """A reused result is no second try."""
    rows: list[Row] = [
        {"meta.path": "/tasks/1", "metric.ring_p_value": 0.01},
        {"meta.path": "/tasks/1", "metric.ring_p_value": 0.01},
        {"meta.path": "/tasks/2", "metric.ring_p_value": 0.8},
    ]
    assert gathered(rows, [])["metric.ring_q_value"] == pytest.approx([0.02, 0.02, 0.8])


def test_the_best_of_many_tries_of_chance_is_no_candidate() -> None:
    """P = 0.004 among 200 runs is what chance gives, and the sentence says with what probability."""
    found = claim(runs([0.004, *(0.01 + 0.98 * at / 199 for at in range(199))]))
    assert found["candidates"] == []
    assert found["claim"].startswith(
        "No candidate: no q is at most 0.01; the smallest of 200 p-values is 0.004"
    )
    assert "0.55" in found["claim"]


def test_a_candidate_is_not_confirmed_by_itself_and_its_fresh_runs_are_named(tmp_path: Path) -> None:
    """Its own p-value does not count; five seeds that it has not had are asked for."""
    found = claim(runs([1e-5, 0.3, 0.7]))
    (candidate,) = found["candidates"]
    assert (candidate["task"], candidate["verdict"]) == ("task_0001", "not confirmed yet")
    assert candidate["confirm"] == {
        "parameters": {"b": 0.0, "N": 64},
        "sweep": {"grid": {"seed": [1, 2, 3, 4, 5]}},
    }
    assert found["claim"].startswith("1 run is a candidate, to be confirmed with fresh seeds")
    document = {"name": "confirm", "program": {"command": ["run"]}} | candidate["confirm"]
    spec = build_sweep(document, project=Project.bare(tmp_path))
    runs_asked = list(GridHunter.from_spec(spec).ask(History(generation=1), Random(0)))
    assert [proposal.params for proposal in runs_asked] == [
        {"b": 0.0, "N": 64, "seed": seed} for seed in range(1, 6)
    ]


@pytest.mark.parametrize(("fresh", "verdict"), [(0.02, "confirmed"), (0.6, "refuted")])
def test_fresh_seeds_decide(fresh: float, verdict: str) -> None:
    """Five other seeds of the same parameters, combined; the one that was chosen is left out."""
    p = [1e-6, fresh, fresh, fresh, fresh, fresh, 0.5, 0.9]
    found = claim(runs(p, b=[0, 0, 0, 0, 0, 0, 1, 2], seeds=[0, 1, 2, 3, 4, 5, 0, 0]))
    (candidate,) = found["candidates"]
    assert candidate["verdict"] == verdict
    assert candidate["fresh_seeds"] == [1, 2, 3, 4, 5]
    assert "confirm" not in candidate


def test_a_sweep_that_confirms_combines_its_seeds() -> None:
    """Parameters that were chosen elsewhere, five seeds here: one test, whatever each of them says."""
    found = claim(runs([0.03] * 5, b=[1.0] * 5, seeds=[1, 2, 3, 4, 5]))
    (combined,) = found["combined"]
    assert combined["seeds"] == [1, 2, 3, 4, 5]
    assert combined["p"] < 0.001


def test_a_seed_among_the_parameters_makes_no_other_set() -> None:
    """As in the runs that are named for confirmation: there `seed` is a parameter."""
    rows: list[Row] = [
        {
            "meta.path": f"/{seed}",
            "meta.seed": 0,
            "param.b": 1.0,
            "param.seed": seed,
            "metric.ring_p_value": 0.03,
        }
        for seed in range(1, 6)
    ]
    (combined,) = claim(gathered(rows, []))["combined"]
    assert (combined["params"], combined["seeds"]) == ({"b": 1.0}, [1, 2, 3, 4, 5])


def test_runs_without_a_score_are_counted_and_claim_nothing() -> None:
    """Null is not scorable: neither 0 nor 1."""
    found = claim(runs([None, None]))
    assert (found["tested"], found["not_scorable"]) == (0, 2)
    assert found["claim"] == "No run has a ring_p_value: nothing can be claimed."
