"""Overrides of any kind become a sweep that can be frozen, read again and run with the very same texts."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.config import Project, build_sweep, dump_document, load_frozen
from hsm.config.kinds import PARAMETER_NAME
from hsm.core.errors import ConfigError
from hsm.core.model import History
from hsm.core.spec import SweepSpec
from hsm.core.world import World
from hsm.hunt.registry import build_hunter
from hsm.launcher import batch
from hsm.wire.canonical import canonical_json

SETTINGS: dict[str, Any] = {
    "source": None,
    "sources": [],
    "resources": {"cpus": 1, "memory": None, "gpus": 0, "walltime": None},
    "timeout_s": None,
    "grace_s": 10.0,
    "retry": {"application": None},
    "max_failure_rate": 1.0,
}


def _read(override: str) -> tuple[str, Any]:
    key, _, value = override.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _spec(jobs: list[list[str]], first: int = 0, **settings: Any) -> SweepSpec:
    document = batch.document(
        name=batch.sweep_name("my_app", "ab2c", first),
        program={"command": ["true", "--overrides={hydra.overrides}"], "variables": {}},
        section=batch.jobs_section(jobs, first, _read),
        settings={**SETTINGS, **settings},
        metadata={},
    )
    project = Project(root=Path("/p"), outputs=Path("/p/o"))
    return build_sweep(document, project=project, where="here", is_literal=True)


KEYS = st.text(alphabet=st.sampled_from("ab/.@_-1 ü:"), min_size=1, max_size=8) | st.sampled_from(
    ["db", "db.user", "db/engine", "db@src", "project", "hydra.job.num", "hydra", "params"]
)


@given(keys=st.lists(KEYS, max_size=8))
def test_every_key_has_a_parameter_name_of_its_own(keys: list[str]) -> None:
    """Names are fit for a sweep file, all different, and none lies within another."""
    names = batch.parameter_names(keys)
    assert names.keys() == set(keys)
    found = [*names.values(), batch.NUMBER, batch.OVERRIDES]
    assert all(PARAMETER_NAME.fullmatch(name) for name in found)
    assert "project" not in found
    for one, two in combinations(found, 2):
        assert one != two
        assert not one.startswith(f"{two}.")
        assert not two.startswith(f"{one}.")


def test_usual_keys_keep_their_names() -> None:
    """A group beside a key within it makes room."""
    names = batch.parameter_names(["lr", "db", "db.user", "server/db", "model@src"])
    assert names == {
        "lr": "lr",
        "db": "db_value",
        "db.user": "db.user",
        "server/db": "server.db",
        "model@src": "model_src",
    }


VALUES = st.text(max_size=12) | st.sampled_from(["1", "1.0", "true", "[1,2]", '{"a":{"b":null}}', "${now:x}"])


@given(jobs=st.lists(st.lists(st.tuples(st.sampled_from(["a", "b.c", "d"]), VALUES)), min_size=1, max_size=4))
def test_jobs_of_any_values_survive_freezing(
    tmp_path_factory: pytest.TempPathFactory, jobs: list[list[tuple[str, str]]]
) -> None:
    """What is frozen reads as the same sweep, and each task carries its job's number and very texts."""
    overrides = [[f"{key}={value}" for key, value in job] for job in jobs]
    spec = _spec(overrides, first=5)
    path = tmp_path_factory.getbasetemp() / "frozen.yaml"
    path.write_text(dump_document(spec.document), encoding="utf-8")
    assert load_frozen(path) == spec
    proposals = list(build_hunter(spec).ask(History(generation=1), World().rng(0)))
    assert [proposal.params[batch.NUMBER] for proposal in proposals] == [str(5 + i) for i in range(len(jobs))]
    assert [json.loads(str(proposal.params[batch.OVERRIDES])) for proposal in proposals] == overrides


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("e\u0301", "'e\\u0301'"),
        ("a\x00b", "'a\\x00b'"),
        (float("inf"), "inf"),
        (1 << 70, "1180591620717411303424"),
        ({1: 2}, "{1: 2}"),
        (["e\u0301"], None),
        ([1, {"a": None}], [1, {"a": None}]),
    ],
)
def test_values_that_no_parameter_can_hold_are_shown_as_text(value: Any, expected: Any) -> None:
    """What is run is the text of the override, whatever the table shows."""
    found = batch.shown(value)
    canonical_json(found)
    assert expected is None or found == expected


def test_what_all_jobs_have_alike_is_a_constant() -> None:
    """Tables show what differs."""
    spec = _spec([["a=1", "b=2"], ["a=1", "b=3"]])
    assert spec.parameters == {"a": 1}
    assert spec.grid is not None
    assert spec.grid.axes[0].names == ("b", batch.NUMBER, batch.OVERRIDES)


@pytest.mark.parametrize("text", ["choice(1, 2)", "range(0, 3)", "{seed}", "${oc.env:HOME}", "1e999"])
def test_a_value_is_never_read_as_more_than_text(text: str) -> None:
    """What a sweep file would expand is a value here: Hydra has read it already."""
    spec = _spec([[f"a={text}"], ["a=other"]])
    assert spec.grid is not None
    assert [point[0] for point in spec.grid.axes[0].points] == [batch.shown(_read(f"a={text}")[1]), "other"]


def test_settings_say_what_a_sweep_file_would() -> None:
    """Time limits, retries, resources and sources; this machine where no source is named."""
    spec = _spec(
        [["a=1"]],
        source="local:2",
        timeout_s=90.5,
        retry={"application": 2, "lost": None},
        resources={"cpus": 3, "memory": "1GiB", "gpus": 0, "walltime": None},
    )
    assert (spec.timeout_s, spec.resources.cpus, spec.resources.memory_bytes) == (90.5, 3, 1 << 30)
    assert spec.retry["application"] == 2  # type: ignore[index]
    assert spec.retry["lost"] == 2  # type: ignore[index]
    assert [(source.name, source.slots) for source in spec.sources] == [("local", 2)]
    assert [source.name for source in _spec([["a=1"]]).sources] == ["local"]


def test_wrong_settings_are_told_all_at_once() -> None:
    """As for a sweep file, under the name of the launcher."""
    with pytest.raises(ConfigError) as caught:
        _spec([["a=1"]], source="lokal", resources={"memory": "4G"})
    assert [problem.where for problem in caught.value.problems] == ["here", "here"]


@given(application=st.text(), first=st.integers(0, 10**6))
def test_a_sweeps_name_is_fit_for_a_folder(application: str, first: int) -> None:
    """Whatever the application is called."""
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]{0,40}-ab2c-\d+", batch.sweep_name(application, "ab2c", first))
