"""Command templates and Hydra arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from hsm.core.template import (
    Field,
    Literal,
    TemplateError,
    hydra_argument,
    parse_template,
    render_argument,
    value_text,
)


def test_a_template_falls_into_text_and_fields() -> None:
    """Names become fields with their column, doubled braces become braces."""
    parts = parse_template("a{b}{c.d-e}{{x}} }}")
    assert parts == [Literal("a"), Field("b", 2), Field("c.d-e", 5), Literal("{x} }")]
    assert parse_template("") == []


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("{", 1),
        ("a}", 2),
        ("x{}", 2),
        ("{a!r}", 1),
        ("{a:>3}", 1),
        ("{a[0]}", 1),
        ("{0}", 1),
        ("{ a }", 1),
        ("{a..b}", 1),
        ("{a.__class__}{", 14),
        ("{{}", 3),
        ("{a\n}", 1),
    ],
)
def test_what_is_no_placeholder_is_told_with_its_column(text: str, column: int) -> None:
    """A template is not str.format: only names stand in braces."""
    with pytest.raises(TemplateError) as caught:
        parse_template(text)
    assert caught.value.column == column
    assert "{{" in caught.value.hint or "}}" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "true"),
        (None, "null"),
        (1, "1"),
        (1.0, "1.0"),
        (1e-5, "1e-05"),
        (0.1, "0.1"),
        ("a b", "a b"),
        ([1, "\u00e9"], '[1,"\u00e9"]'),
        ({"a": None}, '{"a":null}'),
    ],
)
def test_values_are_written_for_programs(value: Any, text: str) -> None:
    """Truth values, null, floats and structures have one text each."""
    assert render_argument(parse_template("--x={x}"), {"x": value}) == f"--x={text}"


def test_names_are_looked_up_flat_first_then_nested() -> None:
    """`{a.b.c}` means the parameter of that name, else a key of a map."""
    values: dict[str, Any] = {"a.b": 1, "a": {"b": 2, "c": {"d": 3}}, "m.n": {"o": 4}}
    assert render_argument(parse_template("{a.b} {a.c.d} {m.n.o}"), values) == "1 3 4"
    with pytest.raises(TemplateError, match="has no value"):
        render_argument(parse_template("{a.x}"), values)
    with pytest.raises(TemplateError, match="has no value"):
        render_argument(parse_template("{a.__class__}"), values)


@given(st.text())
def test_doubling_the_braces_keeps_any_text(text: str) -> None:
    """Text with its braces doubled comes out as it was."""
    assert render_argument(parse_template(text.replace("{", "{{").replace("}", "}}")), {}) == text


@given(st.text(alphabet="ab.{}- \n"))
def test_any_template_is_read_or_refused(text: str) -> None:
    """No text makes the parser fail in another way, and values never become templates."""
    refused = None
    parts: list[Literal | Field] = []
    try:
        parts = parse_template(text)
    except TemplateError as error:
        refused = error
    assert refused is None or 1 <= refused.column <= len(text)
    names = [part.name for part in parts if isinstance(part, Field)]
    rendered = render_argument(parts, dict.fromkeys(names, "{a}"))
    assert rendered.count("{a}") >= len(names)


AWKWARD = st.text(alphabet="\\'\"${}a ,\n=:[]()#", max_size=10) | st.sampled_from(
    [
        "",
        "true",
        "NULL",
        "nan",
        "-inf",
        "1e3",
        "0x1",
        "1_000",
        "\\${a}",
        "${a}",
        "\\\\${a}\\",
        "glob(*)",
        "a,b",
        " ",
        "\t",
        "???",
    ]
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8) | AWKWARD
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT
)
KEY = st.text(alphabet="ab1_.-/ (:=\\+e", min_size=1, max_size=5)
VALUE = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=2), max_leaves=5
)
PARSER = OverridesParser.create()


@settings(max_examples=100, deadline=None)
@given(VALUE)
def test_hydra_reads_exactly_the_value(value: Any) -> None:
    """Whatever the value, Hydra's parser and OmegaConf give it back, `${` included."""
    try:
        argument = hydra_argument("x.y", value)
    except TemplateError:
        return
    parsed = PARSER.parse_override(argument)
    assert parsed.key_or_group == "x.y"
    config = OmegaConf.create({"x": {"y": 0}})
    OmegaConf.update(config, "x.y", parsed.value(), merge=False)
    got: Any = OmegaConf.to_container(config, resolve=True)
    assert got["x"]["y"] == value
    assert repr(got["x"]["y"]) == repr(value)


@pytest.mark.parametrize("key", ["1", "1e3", "true", "a'b", "a\nb", "", " a", "nan"])
def test_a_map_key_that_hydra_cannot_say_is_refused(key: str) -> None:
    """Keys that would arrive as numbers, or not at all, are refused instead of changed."""
    with pytest.raises(TemplateError, match="cannot be written"):
        hydra_argument("x", {key: 1})


def test_plain_words_stay_readable() -> None:
    """Quotes appear only where they are needed."""
    assert hydra_argument("mode", "fast-2") == "mode=fast-2"
    assert hydra_argument("k", 0.1) == "k=0.1"
    assert hydra_argument("l", ["a", "b c"]) == "l=[a,'b c']"
    assert value_text(False) == "false"
