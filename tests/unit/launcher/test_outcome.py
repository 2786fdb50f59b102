"""What a job returned or raised goes through JSON and comes back as plain data."""

import json
import math
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.launcher import outcome
from hsm.launcher.outcome import Outcome, TaskFailed

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def _through(directory: Path, found: Outcome) -> Outcome:
    outcome.write(directory, found)
    read = outcome.read(directory)
    assert read is not None
    return read


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory."""
    return tmp_path_factory.mktemp("attempt")


@given(value=PLAIN)
def test_plain_values_come_back_as_they_were(place: Path, value: Any) -> None:
    """Numbers, infinities too, texts, lists and maps."""
    assert _through(place, outcome.returned(value)).value == value


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(2.5), 2.5),
        ((1, (2,)), [1, [2]]),
        (OrderedDict(a=Fraction(1, 2)), {"a": 0.5}),
    ],
)
def test_numbers_of_other_libraries_become_pythons(value: Any, expected: Any) -> None:
    """An array of one number is a number, a tuple a list."""
    found = outcome.returned(value).value
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [object(), b"bytes", {1: 2}, [np.zeros(2)], {"a": {1, 2}}])
def test_what_json_cannot_say_is_none_with_a_note(value: Any) -> None:
    """The note tells why."""
    found = outcome.returned(value)
    assert found.value is None
    assert "cannot be handed back" in found.note


def test_endless_values_are_none_with_a_note() -> None:
    """A list within itself ends nowhere."""
    value: list[Any] = []
    value.append(value)
    assert "nested deeper" in outcome.returned(value).note


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.5, {"return_value": 0.5}),
        ({"loss": 1, "name": "x", "ok": True, "deep": {"a": 1}}, {"loss": 1}),
        ((1.5, 2), {"return_value_0": 1.5, "return_value_1": 2}),
        (math.nan, {"return_value": None}),
        ("text", None),
        (None, None),
        (True, None),
    ],
)
def test_returned_numbers_are_metrics(tmp_path: Path, value: Any, expected: Any) -> None:
    """A number, the numbers of a map, the numbers of a list; null where there is none."""
    outcome.write(tmp_path, outcome.returned(value))
    path = tmp_path / "metrics.json"
    assert (json.loads(path.read_text()) if path.exists() else None) == expected


def test_metrics_of_the_application_stay(tmp_path: Path) -> None:
    """Whoever writes metrics.json knows better."""
    (tmp_path / "metrics.json").write_text("{}")
    outcome.write(tmp_path, outcome.returned(1))
    assert (tmp_path / "metrics.json").read_text() == "{}"


class Odd(Exception):
    """An application's own."""


def _raised(error: Exception) -> Exception:
    with pytest.raises(type(error)) as caught:
        raise error
    return caught.value


@pytest.mark.parametrize("error", [ValueError("a", 1), KeyError("k"), OSError(2, "gone"), StopIteration()])
def test_pythons_own_exceptions_are_built_again(tmp_path: Path, error: Exception) -> None:
    """With their arguments, and with the traceback of the job as their cause."""
    fault = _through(tmp_path, outcome.failed(_raised(error))).error
    assert fault is not None
    again = fault.exception("job 3")
    assert type(again) is type(error)
    assert again.args == error.args
    assert "in _raised" in str(again.__cause__)


@pytest.mark.parametrize(
    "error", [Odd("x"), ValueError(object()), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad")]
)
def test_other_exceptions_are_told_only(tmp_path: Path, error: Exception) -> None:
    """No class of an application is looked up by a name that a file says."""
    fault = _through(tmp_path, outcome.failed(_raised(error))).error
    assert fault is not None
    again = fault.exception("job 3")
    assert type(again) is TaskFailed
    assert type(error).__name__ in str(again)


@pytest.mark.parametrize("name", ["eval", "SystemExit", "KeyboardInterrupt", "nothing", "object"])
def test_a_name_that_is_no_exception_is_never_called(name: str) -> None:
    """Whatever outcome.json says, only exceptions are built, and none that ends a process."""
    fault = outcome.Fault(
        module="builtins", name=name, message="", arguments=["__import__('os')"], traceback="t"
    )
    assert type(fault.exception("job 3")) is TaskFailed


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"error": 3}', "null", "[" * 100_000, '{"error": null}'])
def test_a_file_that_is_no_outcome_is_none(tmp_path: Path, text: str) -> None:
    """A job that was killed while it wrote, or a program that wrote a file of that name."""
    (tmp_path / "outcome.json").write_text(text)
    assert outcome.read(tmp_path) is None
