"""Canonical JSON: one text per value, on every machine; what has none is refused by its path."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.wire.canonical import MAX_BYTES, NotCanonical, canonical_json

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(
    lambda text: unicodedata.normalize("NFC", text)
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def same(one: object, other: object) -> bool:
    """Tell whether two values are equal in type, too: 1 is neither 1.0 nor True."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


@given(values)
def test_the_text_reads_as_the_value(value: object) -> None:
    """Reading the text gives the value, and writing that gives the text."""
    text = canonical_json(value)
    assert same(json.loads(text), value)
    assert canonical_json(json.loads(text)) == text
    assert text.encode("utf-8").decode("utf-8") == text


@given(values, values)
def test_distinct_values_have_distinct_texts(one: object, other: object) -> None:
    """A text stands for one value only."""
    assert (canonical_json(one) == canonical_json(other)) == same(one, other)


@given(st.dictionaries(texts, scalars, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(mapping: dict, random: object) -> None:
    """Keys stand in the order of their code points, whatever order they came in."""
    items = list(mapping.items())
    random.shuffle(items)  # type: ignore[attr-defined]
    text = canonical_json(dict(items))
    assert text == canonical_json(mapping)
    assert list(json.loads(text)) == sorted(mapping)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": [True, None]}, '{"a":[true,null],"b":1}'),
        ({"\U0001f600": 1, "\ufb03": 2, "z": 3}, '{"z":3,"\ufb03":2,"\U0001f600":1}'),
        (-0.0, "0.0"),
        ([1, 1.0, 1e-05, 1e16, 0.1], "[1,1.0,1e-05,1e+16,0.1]"),
        (5e-324, "5e-324"),
        ('\u2028\x1f"\\/é', '"\u2028\\u001f\\"\\\\/é"'),
        ((1, (2,)), "[1,[2]]"),
        (-(1 << 63), "-9223372036854775808"),
        ({}, "{}"),
    ],
)
def test_known_texts(value: object, text: str) -> None:
    """These texts never change: hashes of results on disk depend on them."""
    assert canonical_json(value) == text


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"a": [1, float("nan")]}, "$.a[1]", "not a finite number"),
        (float("-inf"), "$", "not a finite number"),
        ({"a": {1: 2}}, "$.a", "key 1 is not a string"),
        ({True: 2}, "$", "not a string"),
        ([1 << 63], "$[0]", "more than 64 bits"),
        ([-(1 << 63) - 1], "$[0]", "more than 64 bits"),
        ({"x": "e\u0301"}, "$.x", "normal form C"),
        ({"e\u0301": 1}, "$", "normal form C"),
        ("a\0b", "$", "NUL"),
        ("é\0", "$", "NUL"),
        (["\ud800"], "$[0]", "surrogate"),
        ({1, 2}, "$", "a set has no JSON form"),
        (b"x", "$", "a bytes has no JSON form"),
        ({"deep": Path("x")}, "$.deep", "Path has no JSON form"),
    ],
)
def test_what_has_no_text_is_refused_by_its_path(value: object, path: str, reason: str) -> None:
    """The error names the place and what is wrong with it."""
    with pytest.raises(NotCanonical) as refused:
        canonical_json(value)
    assert refused.value.path == path
    assert reason in refused.value.reason


def test_depth_is_limited() -> None:
    """32 levels are written, 33 are refused: no value can exhaust the stack."""
    value: object = 1
    for _ in range(32):
        value = [value]
    assert canonical_json(value) == "[" * 32 + "1" + "]" * 32
    with pytest.raises(NotCanonical, match="deeper than 32"):
        canonical_json([value])


@pytest.mark.parametrize("letter", ["a", "é", "\U0001f600"])
def test_size_is_limited_in_bytes(letter: str) -> None:
    """One mebibyte of UTF-8 is the limit, whatever the script."""
    count = (MAX_BYTES - 2) // len(letter.encode())
    assert canonical_json(letter * count)
    with pytest.raises(NotCanonical, match="limit"):
        canonical_json(letter * (count + 1))


PROGRAM = """
import sys; sys.path.insert(0, sys.argv[1])
from hsm.wire.hashing import config_hash
print(config_hash({key: {"set": key} for key in {"alpha", "beta", "gamma", "delta"}}))
"""


def test_hashes_are_equal_across_processes(project_root: Path) -> None:
    """The randomised hashing of Python's own sets and dictionaries has no say in an identity."""
    found = {
        subprocess.run(
            [sys.executable, "-S", "-c", PROGRAM, str(project_root)],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
    assert len(found.pop()) == 65
