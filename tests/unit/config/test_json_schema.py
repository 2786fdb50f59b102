"""JSON schemas for editors: they take every example, refuse what is misshapen, and know every key."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hsm.config import Project, duration, load_sweep, render_duration, render_size
from hsm.config.json_schema import settings_schema, sweep_schema
from hsm.config.reader import read_file
from hsm.config.starter import PROJECT
from hsm.config.units import DURATION_PATTERN, SIZE_PATTERN
from hsm.core.errors import ConfigError
from tests.unit.config.keys_page import PAGE, keys, page
from tests.unit.config.test_broken_corpus import FILES

ROOT = Path(__file__).resolve().parents[3]
EXAMPLES = sorted((ROOT / "sweeps").glob("*.yaml"))
# What only HSM can know: values that are right alone and wrong together, and what is no YAML to begin with.
ONLY_HSM = {
    "hunt_bounds_swapped",
    "logarithm_of_zero",
    "unknown_placeholder",
    "pairs_of_unequal_length",
    "value_twice",
    "zero_duration",
    "files_outside_the_project",
    "variable_of_hsm",
    "octal_looking_number",
    "key_twice",
    "open_bracket",
    "tab_for_indentation",
}


def plain(path: Path) -> Any:
    """Return what a file says, read as HSM reads it."""
    return read_file(path)[1].plain()


@pytest.fixture(scope="module")
def sweep_check() -> Any:
    """Return the validator of sweep files."""
    return validator(sweep_schema())


def validator(schema: dict[str, Any]) -> Any:
    """Return a validator, the schema itself checked."""
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_valid(path: Path, sweep_check: Any) -> None:
    """What ships in sweeps/ satisfies the schema, and so does its frozen form."""
    assert [error.message for error in sweep_check.iter_errors(plain(path))] == []
    frozen = load_sweep(path, project=Project.bare(ROOT)).document
    assert [error.message for error in sweep_check.iter_errors(frozen)] == []


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.stem not in ONLY_HSM], ids=lambda path: path.stem
)
def test_misshapen_files_are_not_valid(path: Path, sweep_check: Any) -> None:
    """Each file of the corpus whose mistake is one of shape fails the schema."""
    assert list(sweep_check.iter_errors(plain(path)))


def test_most_of_the_corpus_is_refused_by_the_schema_alone() -> None:
    """The list of what only HSM can know is a list of files that there are, and the shorter part."""
    names = {path.stem for path in FILES}
    assert names > ONLY_HSM
    assert len(ONLY_HSM) < len(names) / 2


def test_settings_have_a_schema_of_their_own(tmp_path: Path) -> None:
    """The file that `config init` writes is valid with all of its comments taken away."""
    path = tmp_path / "hsm.yaml"
    lines = [line.removeprefix("# ") for line in PROJECT.splitlines() if not line.startswith("# The")]
    path.write_text("\n".join(line for line in lines if not line.startswith("Stronger")))
    check = validator(settings_schema())
    assert list(check.iter_errors(plain(path))) == []
    assert {"timeout", "retry", "resources", "sources"} <= set(plain(path))
    assert list(check.iter_errors({"name": "x"}))
    assert list(check.iter_errors({"sources": {"lokal": {}}}))


def test_the_schema_has_the_defaults_that_hold() -> None:
    """A default in the schema is the one that reading an empty section gives."""
    properties = sweep_schema()["properties"]
    assert properties["grace"]["default"] == "10s"
    assert properties["retry"]["properties"]["node"]["default"] == 3
    assert "default" not in properties["name"]


@given(st.lists(st.sampled_from(["1", "30", "0.5", "00", *"dhms :-"]), max_size=8).map("".join))
@example("1-12:00:00")
@example("1h30m")
@example("1.5h")
def test_an_editor_takes_the_durations_that_hsm_takes(text: str) -> None:
    """No duration that is read is underlined as wrong."""
    try:
        duration(text)
    except ConfigError:
        return
    assert re.search(DURATION_PATTERN, text)


@given(st.integers(0, 1 << 50))
def test_an_editor_takes_the_values_that_hsm_writes(number: int) -> None:
    """Durations and sizes as a frozen file has them fit the patterns."""
    assert re.search(DURATION_PATTERN, render_duration(number / 7))
    assert re.search(SIZE_PATTERN, render_size(number))


def test_what_lists_and_maps_hold_is_in_the_schema() -> None:
    """The form of items is kept where that of the list is heard a second time."""
    properties = sweep_schema()["properties"]["program"]["properties"]
    assert properties["files"]["items"] == {"type": "string"}
    assert properties["variables"]["additionalProperties"] == {"type": ["string", "number"]}


def test_every_key_has_words_for_a_person() -> None:
    """Each key of a sweep file and of the settings has a meaning."""
    found = [*keys(sweep_schema()), *keys(settings_schema())]
    assert len(found) > 80
    assert not [path for path, form in found if "description" not in form and path != "defaults"]


def test_the_page_of_keys_is_what_the_readers_take() -> None:
    """docs/reference/keys.md is up to date; `python -m tests.unit.config.keys_page` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_key_is_explained() -> None:
    """docs/reference/configuration.md names each key of the settings and of a sweep file, at every depth."""
    text = (ROOT / "docs" / "reference" / "configuration.md").read_text(encoding="utf-8")
    paths = [path for path, _ in (*keys(sweep_schema()), *keys(settings_schema()))]
    words = {path.rpartition(".")[2].removesuffix("[]") for path in paths}
    assert not [word for word in sorted(words) if not re.search(rf"\b{word}\b", text)]
