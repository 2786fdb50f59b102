"""When two parameter values are the same value: what grids exclude and what hunters do not propose twice."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from hsm.core.spec import Params, Value

_PLAIN = frozenset({bool, float, int, str})


def typed_key(value: Value) -> Hashable:
    """Return a key that is equal for equal values only, with 1, 1.0 and True kept apart.

    Sequences are equal whatever type holds them, and so are mappings, whatever their order: JSON does
    not remember either.
    """
    if type(value) in _PLAIN:  # quick: a hunter asks this of every value of its history
        return (type(value).__name__, value)
    if isinstance(value, str):
        return ("str", value)
    if isinstance(value, Mapping):
        return ("map", frozenset((name, typed_key(item)) for name, item in value.items()))
    if isinstance(value, Sequence):
        return ("seq", tuple(typed_key(item) for item in value))
    return (type(value).__name__, value)


def params_key(params: Params) -> Hashable:
    """Return the key of a whole parameter set."""
    return typed_key(params)
