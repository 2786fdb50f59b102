"""Settings in layers: which one wins, and what is said about each that is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.config import Project, explain_sweep, find_project, load_sweep
from hsm.config.origins import Origin, Origins
from hsm.config.settings import Layer, files
from hsm.config.tree import Place, graft, overlaid
from hsm.core.errors import ConfigError, Problem

SWEEP = 'name: heat\nprogram: {command: [echo, "{k}"]}\nsweep: {grid: {k: [1, 2]}}\n'


class Machine:
    """A project, a user and a site, each of whom may have settings."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.environment = {
            "HOME": str(root / "home"),
            "XDG_CONFIG_HOME": str(root / "user"),
            "XDG_CONFIG_DIRS": f"{root}/site1:{root}/site2",
        }
        self.project = root / "project"
        self.project.mkdir()
        self.sweep_file = self.project / "s.yaml"
        self.sweep_file.write_text(SWEEP)

    def write(self, layer: str, text: str) -> Path:
        places = {"project": self.project / "hsm.yaml"}
        path = places.get(layer, self.root / layer / "hsm" / "config.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def find(self, **variables: str) -> Project:
        return find_project(self.project, {**self.environment, **variables})

    def problems(self, **variables: str) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            self.find(**variables)
        return caught.value.problems

    def origins(self, *overrides: str, sources: tuple[str, ...] = (), **variables: str) -> dict[str, Origin]:
        project = self.find(**variables)
        spec, tree = explain_sweep(self.sweep_file, overrides, project=project, sources=sources)
        found = Origins(project, {**self.environment, **variables}, tree).of_sweep(spec, flags=bool(sources))
        return {origin.path: origin for origin in found}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_each_layer_wins_over_those_beneath_it(machine: Machine) -> None:
    """Flag, sweep file, environment, project, user, first and second site, default: in this order."""
    seen = [(machine.origins()["grace"], Layer.DEFAULT, "10s")]
    for number, (name, layer) in enumerate(
        [
            ("site2", Layer.SITE),
            ("site1", Layer.SITE),
            ("user", Layer.USER),
            ("project", Layer.PROJECT),
        ],
        start=1,
    ):
        path = machine.write(name, f"\ngrace: {number}s\n")
        origin = machine.origins()["grace"]
        assert origin.where == f"{path}:2"
        seen.append((origin, layer, f"{number}s"))
    seen.append((machine.origins(HSM_GRACE="5s")["grace"], Layer.ENVIRONMENT, "5s"))
    machine.sweep_file.write_text(SWEEP + "grace: 6s\n")
    seen.append((machine.origins(HSM_GRACE="5s")["grace"], Layer.SWEEP, "6s"))
    seen.append((machine.origins("grace=7s", HSM_GRACE="5s")["grace"], Layer.FLAG, "7s"))
    for origin, layer, value in seen:
        assert (origin.layer, origin.value) == (layer, value)


def test_maps_are_merged_key_by_key(machine: Machine) -> None:
    """What a layer does not say is left to the next one, also within a section and a source."""
    machine.write("site1", "resources: {cpus: 2, gpus: 1}\nsources: {local: {slots: 3, variables: {A: 1}}}\n")
    machine.write("user", "sources: {local: {variables: {B: 2}}}\n")
    machine.write("project", "resources: {cpus: 4}\nsources:\n  local:\n")
    project = machine.find(HSM_RESOURCES__MEMORY="1GiB", HSM_SOURCES__LOCAL__SLOTS="5")
    spec = load_sweep(machine.sweep_file, project=project, sources=["local"])
    resources = spec.resources
    assert (resources.cpus, resources.gpus, resources.memory_bytes) == (4, 1, 1 << 30)
    assert spec.sources[0].slots == 5
    assert spec.sources[0].environment.variables == {"A": "1", "B": "2"}


def test_a_venv_of_a_stronger_layer_replaces_a_conda_of_a_weaker_one(machine: Machine) -> None:
    """They exclude each other within a layer only."""
    machine.write("user", "sources: {local: {conda: /opt/conda, slots: 2}}\n")
    machine.write("project", "sources: {local: {venv: .venv}}\n")
    local = machine.find().sources["local"]
    assert (local.environment.prefix, local.slots) == (str(machine.project / ".venv"), 2)


def test_all_layers_are_checked_at_once(machine: Machine) -> None:
    """A wrong value is told with its place in every layer, also where a stronger layer hides it."""
    site = machine.write("site1", "timeout: 5\n")
    user = machine.write("user", "resorces: {}\n")
    project = machine.write("project", "timeout: 5m\nretry: {nod: 1}\nsources: {lokal: {}}\n")
    found = {problem.where: problem.hint for problem in machine.problems(HSM_GRACE="10", HSM_RETRI__NODE="1")}
    assert found == {
        f"{site}:1:10": "add the unit: 5s or 5m",
        f"{user}:1:1": "did you mean `resources`?",
        f"{project}:2:9": "did you mean `node`?",
        f"{project}:3:11": "did you mean `local`?",
        "environment variable HSM_GRACE": "add the unit: 10s or 10m",
        "environment variable HSM_RETRI__NODE": "did you mean retry?",
    }


def test_a_file_that_is_no_yaml_does_not_hide_the_others(machine: Machine) -> None:
    """An error of syntax in one layer is told beside the problems of the others."""
    machine.write("user", "timeout: [\n")
    machine.write("project", "grace: 1\n")
    assert len(machine.problems()) == 2


def test_variables_that_belong_to_others_are_left_alone(machine: Machine) -> None:
    """What HSM tells a task, other people's variables, and empty ones are no settings."""
    found = machine.find(
        HSM_SEED="3", HSM_TASK_ID="x", HSM_SERVER="tape", HSM_TIMEOUT="", HSM_TRACEBACK="1", TIMEOUT__X="1"
    )
    assert found == machine.find()
    assert found.settings.value == {}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("HSM_TIMEOUT", "[", "not YAML"),
        ("HSM_TIMEOUT__X", "1", "expected a duration"),
        ("HSM_RESOURCES", "4", "expected a map"),
        ("HSM_OUTPUTS", "3", "expected text"),
    ],
)
def test_a_wrong_variable_is_named(machine: Machine, name: str, value: str, message: str) -> None:
    """Each is told by its name, with what was expected."""
    (problem,) = machine.problems(**{name: value})
    assert problem.where.startswith(f"environment variable {name}")
    assert message in problem.message


def test_relative_folders_of_xdg_count_for_nothing(tmp_path: Path) -> None:
    """As the base directory rules have it; without any, the usual places are looked at."""
    where = {"HOME": "/home/u", "XDG_CONFIG_HOME": "here", "XDG_CONFIG_DIRS": "there:/etc/x"}
    found = [str(path) for _, path in files(tmp_path, where)]
    usual = [str(path) for _, path in files(tmp_path, {"HOME": "/home/u"})]
    user = "/home/u/.config/hsm/config.yaml"
    assert found == [f"{tmp_path}/hsm.yaml", user, "/etc/x/hsm/config.yaml"]
    assert usual == [f"{tmp_path}/hsm.yaml", user, "/etc/xdg/hsm/config.yaml"]


def test_outputs_can_be_set_by_every_layer(machine: Machine) -> None:
    """A relative path is taken from the project's root, wherever it is written."""
    machine.write("user", "outputs: mine\n")
    assert machine.find().outputs == machine.project / "mine"
    assert machine.find(HSM_OUTPUTS="/scratch/me").outputs == Path("/scratch/me")
    origin = machine.origins(HSM_OUTPUTS="/scratch/me")["outputs"]
    assert (origin.layer, origin.where) == (Layer.ENVIRONMENT, "environment variable HSM_OUTPUTS")


def test_what_is_frozen_knows_no_settings(machine: Machine) -> None:
    """The document holds the values that won; a later change of settings does not change it."""
    machine.write("project", "retry: {node: 9}\n")
    document: Any = load_sweep(machine.sweep_file, project=machine.find()).document
    assert document["retry"]["node"] == 9


def test_origins_of_sources_axes_and_limits(machine: Machine) -> None:
    """A source's environment, dotted axes and a limit that follows from another are traced too."""
    machine.write("project", "sources:\n  local:\n    venv: .venv\n    slots: 2\n")
    machine.sweep_file.write_text(
        'name: heat\nprogram: {command: [echo, "{m.k}"]}\nsweep:\n  grid:\n    m: {k: [1, 2]}\n'
        "resources:\n  walltime: 5m\nsources: [local]\n"
    )
    found = machine.origins()
    assert found["sweep.grid.m.k"].where == f"{machine.sweep_file}:5"
    assert (found["timeout"].value, found["timeout"].where) == ("5m", f"{machine.sweep_file}:7")
    assert found["sources[0]"].where == f"{machine.sweep_file}:8"
    assert found["sources[0].venv"].where == f"{machine.project / 'hsm.yaml'}:3"
    assert (found["sources[0].slots"].value, found["sources[0].slots"].layer) == (2, Layer.PROJECT)
    flagged = machine.origins(sources=("local:7",))
    assert (flagged["sources[0].slots"].value, flagged["sources[0].slots"].layer) == (7, Layer.FLAG)


TREES = st.recursive(
    st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)


def merged(top: Any, base: Any) -> Any:
    """Return what a merge of plain values should be."""
    if not isinstance(top, dict) or not isinstance(base, dict):
        return top
    return {**base, **{key: merged(top[key], base[key]) if key in base else top[key] for key in top}}


@given(top=TREES, base=TREES)
def test_one_tree_over_another_is_a_merge_of_maps(top: Any, base: Any) -> None:
    """Maps are merged at every depth; whatever else the upper tree says stands, and keeps its place."""
    both = overlaid(graft(top, Place("top")), graft(base, Place("base")))
    assert both.plain() == merged(top, base)
