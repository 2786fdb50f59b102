"""Objects made of all of their fields at once are those that their constructor makes."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, fields

import pytest

from hsm.core.layout import Layout
from hsm.core.model import Attempt, Exit

ATTEMPT = Attempt(number=2, token="t", source="local", exit=Exit(code=0))


@pytest.mark.parametrize("turn", [1, -1])
def test_an_object_is_the_one_that_the_constructor_makes(turn: int) -> None:
    """In whatever order its fields are told."""
    layout = Layout(Attempt, [field.name for field in fields(Attempt)][::turn])
    made = layout.make(layout.values(ATTEMPT))
    assert made is not ATTEMPT
    assert made == ATTEMPT
    assert type(made) is Attempt
    assert hash(made) == hash(ATTEMPT)
    assert copy.copy(made) == ATTEMPT


def test_it_is_as_frozen() -> None:
    """Nothing changes it afterwards."""
    layout = Layout(Attempt)
    made = layout.make(layout.values(ATTEMPT))
    with pytest.raises(FrozenInstanceError):
        made.number = 3  # type: ignore[misc]


def test_a_copy_has_the_changes_and_the_original_has_not() -> None:
    """All else is the same."""
    changed = Layout(Attempt).replace(ATTEMPT, {"reason": "r", "number": 3})
    assert changed == Attempt(number=3, token="t", source="local", exit=Exit(code=0), reason="r")
    assert ATTEMPT.number == 2


def test_values_that_are_not_as_many_as_the_fields_make_no_object() -> None:
    """A row of another version is never taken for one of this."""
    layout = Layout(Exit)
    with pytest.raises(TypeError):
        layout.make(layout.values(Exit(code=0))[1:])
    with pytest.raises(KeyError):
        layout.replace(Exit(code=0), {"nothing": 1})
