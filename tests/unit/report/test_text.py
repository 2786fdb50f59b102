"""Numbers, durations and text as a report writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.spec import Value
from hsm.report.html import TITLE_LIMIT, Markup, join, short, tag, text
from hsm.report.text import column, duration, number, plain, redact, redact_named, size, visible


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ([1, 20, 300], ["1", "20", "300"]),
        ([0.001, 0.01, 1.0], ["0.001", "0.010", "1.000"]),
        ([0.123456789, 0.5], ["0.1235", "0.5000"]),
        ([0.123456789, 0.05, -1.5], ["0.1235", "0.0500", "-1.5000"]),
        ([1.23456789e-8, 0.5], ["1.235e-08", "5.000e-01"]),
        ([1.5e12, 2.0], ["1.500e+12", "2.000e+00"]),
        ([1 / 3, 1e6 / 3], ["0.333", "333333.333"]),
        ([0.0, 0.0], ["0", "0"]),
        ([float("nan"), 1 / 3], ["nan", "0.3333"]),
        ([], []),
    ],
)
def test_numbers_of_a_column_line_up(values: list[float], written: list[str]) -> None:
    """One column has one format, which loses nothing that matters."""
    assert column(values) == written


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=8))
def test_any_column_of_numbers_can_be_written(values: list[float]) -> None:
    """No mixture of sizes, zeros, infinities and NaN is too much, and no cell gets wide."""
    assert all(0 < len(cell) <= 18 for cell in column(values))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0123, "0.012 s"),
        (3.14, "3.1 s"),
        (59.7, "1 min 0 s"),
        (252, "4 min 12 s"),
        (7_260, "2 h 1 min"),
        (97_200, "1 d 3 h"),
    ],
)
def test_durations_have_two_units(seconds: float, words: str) -> None:
    """A duration is told in its two largest units."""
    assert duration(seconds) == words


def test_sizes_and_numbers_are_short() -> None:
    """Bytes get binary units; numbers keep their significant digits; whole numbers are whole."""
    assert [size(n) for n in (12, 4_096, 5 << 20, 3 << 40)] == ["12 B", "4 KiB", "5 MiB", "3 TiB"]
    assert [number(n) for n in (123_456, 0.123456, float("inf"))] == ["123456", "0.12346", "inf"]


def test_invisible_characters_are_written_out() -> None:
    """Escape sequences, bidirectional overrides and lone surrogates are seen for what they are."""
    assert visible("a\x1b[31m\u202eb\u2028\ud800\n\x07é") == "a\\x1b[31m\\u202eb\\u2028\\ud800\\n\\x07é"
    assert visible("a\n\tb\r", keep="\n\t") == "a\n\tb\\r"


@given(st.text(st.sampled_from("<>\"'&a;\u202e\ud800\x1b\n")))
def test_text_becomes_harmless_html(value: str) -> None:
    """Whatever a value holds, it opens no element, ends no attribute and can be encoded."""
    text(value).encode("utf-8")
    assert join(value) == text(value)
    assert not set(text(value)) & {"<", ">", '"', "'"}


def test_markup_is_not_escaped_twice_and_data_always_once() -> None:
    """Only what was built as markup passes through."""
    assert tag("p", "<b>", Markup("<b>"), title='"<') == '<p title="&quot;&lt;">&lt;b&gt;<b></p>'


def test_long_values_are_cut_with_the_rest_in_the_tooltip() -> None:
    """A value of any length costs a bounded number of bytes."""
    assert short("abc", 5) == "<span>abc</span>"
    assert short("abcdef", 5) == '<span title="abcdef">abcd…</span>'
    assert len(short("x" * 10**6, 5)) < TITLE_LIMIT + 60


def test_values_are_written_as_json() -> None:
    """Text stands as it is; structure and truth as JSON."""
    values: list[Value] = ["a", True, None, 1.0, [1, {"b": ("c",)}]]
    assert [plain(value) for value in values] == [
        "a",
        "true",
        "null",
        "1.0",
        '[1, {"b": ["c"]}]',
    ]


def test_secrets_of_the_metadata_are_kept_out() -> None:
    """Logins in addresses and values named as secrets are not shown."""
    assert redact("https://u:p@h/x git@h:x") == "https://…@h/x git@h:x"
    assert redact_named("environment.API_TOKEN", "canary") == "(redacted)"
    assert redact_named("git.branch", "main") == "main"
