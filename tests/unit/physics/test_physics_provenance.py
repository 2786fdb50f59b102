"""provenance.json and metrics.json: what their schema allows, and what it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from hsm.physics import history, outcome
from hsm.physics.environment import read_environment
from hsm.physics.metrics import diagnose
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params
from hsm.physics.plan import plan
from hsm.physics.provenance import SCHEMA, Attempt, Effort, Resumption, provenance, schema, validation_status
from hsm.physics.record import COLUMNS, Record, record
from hsm.physics.scores import metrics
from hsm.physics.simulate import Frame
from hsm.physics.status import Status
from hsm.physics.worker import VARIABLES, main
from tests.unit.physics import made

Make = Callable[..., Params]
ROOT = Path(__file__).resolve().parents[3]
EFFORT = Effort(wall_s=2.0, stepping_s=1.0, compile_s=None, cache_hit=True, earlier_s=0.0)
ENDINGS = {
    Status.OK: outcome.completed(4.0, 20),
    Status.UNDERRESOLVED_SPACE: outcome.underresolved(4.0, 20, 1e-3, 1e-5),
    Status.UNDERRESOLVED_TIME: outcome.too_coarse(4.0, 20, 1e-2, 1e-3),
    Status.DEAD: outcome.dead(4.0, 20, 1e-9, 1e-6),
    Status.BLOWN_UP: outcome.blown_up(4.0, 20, float("inf")),
    Status.METRIC_FAILED: outcome.metric_failed(4.0, 20),
    Status.CONSTRAINT_VIOLATED: outcome.violated(4.0, 20, 0.1, 1e-3, compared=False),
    Status.TIMEOUT: outcome.stopped(Status.TIMEOUT, 4.0, 20),
    Status.CANCELLED: outcome.stopped(Status.CANCELLED, 4.0, 20),
}


def seen(p: Params) -> Record:
    psi = np.full(p.grid.shape, 0.6 + 0.3j)
    return record(p, Frame(t=4.0, step=20, psi=psi, omega=None, figures=diagnose(psi, p.grid.reach)), 0)


def measures(p: Params, ending: Ending) -> dict[str, Any]:
    """Return the content of metrics.json of a run of one uniform frame."""
    return metrics(made.finished(p, np.full(p.grid.shape, 0.6 + 0.3j), seen(p), ending))


def report(p: Params, ending: Ending, **more: Any) -> dict[str, Any]:
    measured = measures(p, ending)
    given = {"HSM_CONFIG_HASH": "c0ffee", "HSM_TASK_ID": "task_0001", "HSM_ATTEMPT": "2"}
    environment, _ = read_environment(given)
    attempt = Attempt(**{"effort": EFFORT, "resumed": None, "refused": None, **more})
    found = provenance(plan(p), environment, ending=ending, measured=measured, attempt=attempt)
    return dict(json.loads(json.dumps(found, allow_nan=False)))


def faults(content: dict[str, Any]) -> list[str]:
    return [fault.message for fault in jsonschema.Draft202012Validator(schema()).iter_errors(content)]


def test_schema_is_one_and_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """It ships with the package, names the version that reports carry, and `--schema` prints it."""
    jsonschema.Draft202012Validator.check_schema(schema())
    assert main(["--schema"], {}, None) == 0  # type: ignore[arg-type]
    assert json.loads(capsys.readouterr().out) == schema()


@pytest.mark.parametrize("status", Status)
def test_report_of_every_ending_follows_the_schema(params: Make, status: Status) -> None:
    """Whatever happened, also after a resumption and beside a refused checkpoint."""
    resumed = Resumption(step=7, t=1.4, attempts=2, same_processor=True)
    for more in ({}, {"resumed": resumed}, {"refused": "the checkpoint is damaged"}):
        found = report(params(seed=2**64 - 1), ENDINGS[status], **more)
        assert faults(found) == []
        assert found["validation_status"] == validation_status(status)
        assert found["config_hash"] == "c0ffee"


BREAKS: dict[str, Callable[[dict[str, Any]], object]] = {
    "a magic number for a score": lambda r: r["metrics"].update(sdg_h_norm_l2=-1),
    "a text for a score": lambda r: r["metrics"].update(pcs="999"),
    "no config_hash": lambda r: r.pop("config_hash"),
    "no norm": lambda r: r["metrics"].pop("sdg_h_norm_l2"),
    "an unknown status": lambda r: r.update(status="fine"),
    "COMPLETE for a run that did not pass": lambda r: r.update(status="blown_up", reason="too dense"),
    "a reason beside ok": lambda r: r.update(reason="hm"),
    "another version": lambda r: r.update(schema="hsm.physics.provenance/1"),
    "a key that nobody knows": lambda r: r.update(spectral_fidelity=1.0),
    "a reason for no metric": lambda r: r["metrics"]["reasons"].update(nothing="because"),
}


@pytest.mark.parametrize("name", BREAKS)
def test_schema_refuses(params: Make, name: str) -> None:
    """Each of these has been in a provenance file of a predecessor, or would be as bad."""
    found = report(params(), ENDINGS[Status.OK])
    BREAKS[name](found)
    assert faults(found)


def test_complete_is_said_of_runs_that_passed_only() -> None:
    """An answer that a check rejected is REJECTED; a run that was stopped is INCOMPLETE."""
    said = {status: validation_status(status) for status in Status}
    assert said.pop(Status.OK) == "COMPLETE"
    assert {said.pop(Status.TIMEOUT), said.pop(Status.CANCELLED)} == {"INCOMPLETE"}
    assert set(said.values()) == {"REJECTED"}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("dimension", [1, 2])
def test_every_null_has_its_reason(params: Make, status: Status, dimension: int) -> None:
    """And nothing that has a value has one."""
    p, ending = params(dim=dimension), ENDINGS[status]
    found = measures(p, ending)
    reasons = found.pop("reasons")
    assert isinstance(reasons, dict)
    missing = {name for name, value in found.items() if value is None} - {"reason"}
    assert set(reasons) == missing
    assert "flat" in reasons["sdg_h_norm_l2"]
    assert ("defect_count" in reasons) == (dimension == 1 or status is not Status.OK)
    if status is not Status.OK and dimension == 2:
        assert reasons["pcs"] == ending.reason


def test_free_energy_is_that_of_the_equation(params: Make) -> None:
    """Of the uniform state −½μ²V for every share η, of a plane wave −½(μ − q²)²V; none in curved space."""
    for eta in (0.0, 0.7):
        for m in (0, 1):
            p = params(L=16, eta=eta, mu=1.2, init_kind="plane_wave", init_mode_x=m)
            density = 1.2 - (2 * np.pi * m / 16) ** 2
            psi = p.grid.field(plan(p).start)
            assert p.equation.free_energy(psi, p.grid) == pytest.approx(-(density**2) / 2 * 16**2, rel=1e-12)
    curved = params(kappa=0.1)
    assert seen(curved).free_energy is None
    assert measures(curved, ENDINGS[Status.OK])["free_energy"] is None


def test_reference_page_names_all_that_a_run_leaves(params: Make) -> None:
    """Every series, metric and variable, and the schemas by their numbers."""
    page = (ROOT / "docs" / "reference" / "physics-worker.md").read_text(encoding="utf-8")
    p = params()
    own = set(measures(p, ENDINGS[Status.OK]))
    names = {*COLUMNS, *own, *" ".join(VARIABLES).split(), SCHEMA, history.SCHEMA}
    assert sorted(name for name in names if f"`{name}`" not in page) == []
