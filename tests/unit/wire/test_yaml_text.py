"""YAML written by hand: a YAML 1.1 reader finds exactly the value that was meant."""

import math

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from hsm.wire.yaml_text import yaml_lines, yaml_value

TRAPS = [
    *"y n yes No ON off true FALSE null ~ = <<".split(),
    *(
        "1:30",
        "1e-3",
        "0x1f",
        "0o7",
        "010",
        "1_000",
        ".inf",
        "-.inf",
        ".nan",
        "12e03",
        "2001-12-14",
        "+1",
        "-",
    ),
    *(
        "",
        " ",
        " x",
        "x ",
        "#x",
        "a: b",
        "a #b",
        "- a",
        "? a",
        "[",
        "{",
        "}",
        ",",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "%",
        "@",
        "`",
    ),
    *(
        "a\nb",
        "a\r\nb",
        "\t",
        "\\",
        '"',
        "'",
        "\0",
        "\x07",
        "\x1b[31m",
        "\x7f",
        "\x85",
        "\xa0",
        "\ufeff",
        "\u2028",
        "\u2029",
    ),
    *(
        "\ufffe",
        "\uffff",
        "\ud800",
        "x\udfff",
        "é",
        "e\u0301",
        "\U0001f600",
        "\U0010ffff",
        "\u202ex",
        "---",
        "...",
    ),
]
texts = st.sampled_from(TRAPS) | st.text(st.characters(exclude_categories=()))
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


def same(one: object, other: object) -> bool:
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.copysign(1, one) == math.copysign(1, other) and one == other
    return type(one) is type(other) and one == other


@given(st.dictionaries(texts, values, max_size=5))
@example({"lr": 1e-05, "eps": 1e16, "tiny": 5e-324, "inf": math.inf, "minus": -math.inf, "zero": -0.0})
@example({"no": "no", "answer": "1:30", "on": [True, "true"]})
@example({text: text for text in TRAPS})
def test_a_yaml_reader_finds_what_was_meant(mapping: dict) -> None:
    """Every value, key and type survives a YAML 1.1 reader."""
    assert same(yaml.safe_load(yaml_lines(mapping)), mapping)


@given(st.dictionaries(texts, values, max_size=4))
def test_each_key_has_one_line(mapping: dict) -> None:
    """One line per key, each whole in itself, so that grep finds what belongs together."""
    lines = yaml_lines(mapping).splitlines()
    assert len(lines) == max(1, len(mapping))
    if mapping:
        assert same({key: value for line in lines for key, value in yaml.safe_load(line).items()}, mapping)


@given(st.dictionaries(texts, values, max_size=4))
def test_the_text_can_be_written_and_shown(mapping: dict) -> None:
    """It is UTF-8, and holds no control character that a terminal would obey."""
    text = yaml_lines(mapping)
    text.encode("utf-8")
    assert all(ch == "\n" or not (ord(ch) < 0x20 or 0x7F <= ord(ch) < 0xA0) for ch in text)


def test_not_a_number_is_written_as_yaml_writes_it() -> None:
    """NaN cannot be compared, so it has a test of its own."""
    assert yaml_value(math.nan) == ".nan"
    assert math.isnan(yaml.safe_load(yaml_lines({"x": math.nan}))["x"])


@pytest.mark.parametrize(
    ("mapping", "text"),
    [
        ({}, "{}\n"),
        ({"k": 0.1, "n": 3, "on": None}, 'k: 0.1\n"n": 3\n"on": null\n'),
        ({"lr": 1e-05, "big": 1e20}, "lr: 1.0e-05\nbig: 1.0e+20\n"),
        ({"a.b": {"x": ["1", (2,)]}}, 'a.b: {x: ["1", [2]]}\n'),
    ],
)
def test_what_it_looks_like(mapping: dict, text: str) -> None:
    """Plain keys stay plain, strings are quoted, floats look like floats."""
    assert yaml_lines(mapping) == text
