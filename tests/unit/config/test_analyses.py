"""The section `analyses`: what is written out, what is installed, and what is wrong with either."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hsm.config import build_sweep, dump_document, find_project, freeze, load_frozen
from hsm.core.errors import ConfigError
from hsm.core.spec import AnalysisSpec, SweepSpec
from hsm.core.states import Cause


def build(tmp_path: Path, analyses: Any) -> SweepSpec:
    document = {
        "name": "s",
        "program": {"command": ["true"]},
        "sweep": {"grid": {"k": [1]}},
        "analyses": analyses,
    }
    return build_sweep(document, project=find_project(tmp_path))


def faults(tmp_path: Path, analyses: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        build(tmp_path, analyses)
    return "\n".join(f"{problem.message} {problem.hint}" for problem in caught.value.problems)


def look(tmp_path: Path, **more: Any) -> AnalysisSpec:
    written = {"command": ["look", "{artifact}"], "artifact": "results/*.h5", **more}
    return build(tmp_path, {"look": written}).analyses[0]


def test_an_analysis_has_budgets_and_slots_of_its_own(tmp_path: Path) -> None:
    """What is not said is what holds for tasks, one slot, and no limit on the time."""
    plain = look(tmp_path)
    assert (plain.slots, plain.timeout_s) == (1, None)
    assert plain.retry[Cause.NODE] == 3
    chosen = look(tmp_path, slots=3, timeout="5m", retry={"application": 2})
    assert (chosen.slots, chosen.timeout_s, chosen.retry[Cause.APPLICATION]) == (3, 300.0, 2)


def test_an_installed_analysis_is_meant_by_its_name(tmp_path: Path) -> None:
    """What is written of it holds over what its distribution says."""
    spec = build(tmp_path, {"quantules": None, "legacy-bssn": {"slots": 2}})
    quantules, legacy = spec.analyses
    assert quantules.program.command[:3] == ("python", "-m", "hsm.physics.analyses")
    assert quantules.artifact == legacy.artifact == "results/rho_history.h5"
    assert legacy.slots == 2


@pytest.mark.parametrize(
    ("analyses", "said"),
    [
        ({"quantule": None}, "no analysis `analyses.quantule` is installed"),
        ({"quantule": None}, "did you mean `quantules`?"),
        ({"significance": None}, "no analysis `analyses.significance` is installed"),
        ({"Look": {"command": ["x"], "artifact": "a"}}, "expected 1 to 32 small letters"),
        ({"look": {"command": ["x"]}}, "`analyses.look.artifact` is missing"),
        ({"look": {"command": ["x", "{k}"], "artifact": "a"}}, "an analysis has no {k}"),
        ({"look": {"command": ["x", "{artefact}"], "artifact": "a"}}, "did you mean `artifact`?"),
        ({"look": {"command": ["x", "{"], "artifact": "a"}}, "'{' is never closed"),
        ({"look": {"command": ["x"], "artifact": "../a"}}, "a pattern of paths in a result's directory"),
        ({"look": {"command": ["x"], "artifact": "a", "slots": 0}}, "expected a whole number from 1"),
        ({"look": {"command": ["x"], "artifact": "a", "slot": 1}}, "did you mean `slots`?"),
        (
            {"look": {"command": ["x"], "artifact": "a", "retry": {"memory": {"times": 1}}}},
            "the limits of an analysis do not grow",
        ),
        ({"look": 3}, "`analyses.look` is 3; expected a map"),
    ],
)
def test_what_is_wrong_is_told_with_the_fix(tmp_path: Path, analyses: Any, said: str) -> None:
    """Every fault names the key and what to write instead."""
    assert said in faults(tmp_path, analyses)


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """One run shows what is wrong with every analysis."""
    said = faults(tmp_path, {"a": {"command": ["x"]}, "b": {"command": ["x", "{k}"], "artifact": "a"}})
    assert "`analyses.a.artifact` is missing" in said
    assert "an analysis has no {k}" in said


def test_what_is_frozen_needs_nothing_installed(tmp_path: Path) -> None:
    """The document holds the whole analysis and reads as an equal spec, of the sweep and of the analysis."""
    spec = build(tmp_path, {"quantules": {"timeout": "90s"}})
    path = tmp_path / "sweep_config.yaml"
    path.write_text(dump_document(spec.document))
    assert "hsm.physics.analyses" in path.read_text()
    assert load_frozen(path) == spec
    inner = freeze(spec.analyses[0])
    path.write_text(dump_document(inner.document))
    assert load_frozen(path) == inner
    assert inner.follows


def test_a_sweep_without_analyses_has_the_digest_that_it_always_had(tmp_path: Path) -> None:
    """An empty section is none: configurations that were frozen before keep their identity."""
    assert "analyses" not in build(tmp_path, {}).document
