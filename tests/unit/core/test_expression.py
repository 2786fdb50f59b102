"""Expressions over names: what they are worth, and what is told about a text that is none."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsm.core.expression import MAX_DEPTH, MISSING, ExpressionError, parse

ROW: Mapping[str, Any] = {
    "b": 2.5,
    "n": 3,
    "mode": "x",
    "flag": True,
    "nothing": None,
    "size": [1, 2],
    "metric.pcs": 0.9,
    "status": "sealed",
    "a-b": 7,
    "spoilt": float("nan"),
}

Written: TypeAlias = "tuple[str, Callable[[Mapping[str, Any]], Any]]"


def holds(text: str) -> bool:
    return parse(text).holds(ROW.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "b > 2 and n < 4",
        "metric.pcs > 0.8 and status == 'sealed'",
        'status != "failed"',
        "not b > 3 or false",
        "0 < b <= 2.5 < n",
        "n in [1, 3] and mode not in ['y']",
        "'seal' in status and 1 in size and size == [1, 2.0]",
        "n == 3.0 and flag and flag == true and nothing == null",
        "-b + 2 * (n - 1) / .5 == 5.5 and 1e-3 < +b",
        "`a-b` == 7 and b-n < 0",
        "n != 'x' and n != true and mode != null",
        r"'it\'s' == \"it's\"".replace(r"\"", '"'),
        "true and not (false or False)",
    ],
)
def test_a_condition_that_holds(text: str) -> None:
    """Comparisons, chains, membership, arithmetic and logic mean what they say."""
    assert holds(text)


@pytest.mark.parametrize(
    "condition",
    ["gone > 1", "gone == 1", "gone != 1", "gone in [1]", "gone not in [1]", "gone == gone", "1 / 0 == 1",
     "1 / 0 != 1", "nothing + 1 > 0", "nothing < 1", "mode < 3", "flag < 2", "flag == 1", "mode + 1 != 4",
     "spoilt != 1", "1e308 * 10 > 1", "3 in n", "b", "0 < gone < 3", "3 in mode"],
)  # fmt: skip
def test_what_is_missing_or_of_another_kind_compares_false(condition: str) -> None:
    """No comparison with a missing, a computed-from-missing or an unfit value holds, `!=` included."""
    assert not holds(condition)
    assert holds(f"not ({condition})") or condition == "b"


def test_values_are_returned_and_names_are_known() -> None:
    """An expression gives its value, MISSING where it has none, and every name that it asks for."""
    assert parse("b * 2 - n").evaluate(ROW.__getitem__) == 2.0
    assert parse("gone + 1").evaluate(ROW.__getitem__) is MISSING
    assert parse("gone").evaluate(lambda _: MISSING) is MISSING
    assert parse("a.b > 1 and `c-d` in [e, 2] or not f / g == 1").names == {"a.b", "c-d", "e", "f", "g"}
    assert [parse(text).is_condition for text in ("a", "a > 1", "a + 1", "'x'", "[1]", "not a")] == [
        True, True, False, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("", 1, "expected a value, found the end"),
        ("b >", 4, "found the end"),
        ("b = 2", 3, "equality is written =="),
        ("b > 2 && c", 7, "write `and`"),
        ("!b", 1, "write `not`"),
        ("b > 2 c", 7, "joined by `and` or `or`"),
        ("(b > 2", 7, "expected `)`"),
        ("[1, 2", 6, "expected `]`"),
        ("b == 'x", 6, "close the quote"),
        ("b > 1.2.3", 5, "a number goes wrong"),
        ("b > 012x", 5, "a number goes wrong"),
        ("b + 1 and c", 1, "expected a condition"),
        ("a and 'x'", 7, "expected a condition"),
        ("1 + 'x'", 5, "expected a number"),
        ("-(a > 1)", 2, "expected a number"),
        ("b > 1e999", 5, "too large"),
        ("f(x)", 2, "was not expected"),
        ("a.b.", 4, "was not expected"),
        ("b \x00 1", 3, "'\\x00' was not expected"),
        ("and", 1, "found `and`"),
        ("(" * (MAX_DEPTH + 1), MAX_DEPTH + 2, "nested deeper"),
        ("a or " * 500, 2001, "more than 2000 characters"),
    ],
)
def test_a_fault_is_told_with_its_column(text: str, column: int, words: str) -> None:
    """A text that is no expression is refused at the place where it goes wrong, often with the fix."""
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert (caught.value.column, words in f"{caught.value.message} {caught.value.hint}") == (column, True)


def _joined(pair: tuple[Written, Written], word: str, act: Callable[[Any, Any], Any]) -> Written:
    (left, first), (right, second) = pair
    return (f"({left}) {word} ({right})", lambda env: act(first(env), second(env)))


def _signs(table: Mapping[str, Callable[[Any, Any], Any]], parts: st.SearchStrategy[Written]) -> Any:
    return st.builds(
        lambda pair, sign: _joined(pair, sign, table[sign]),
        st.tuples(parts, parts),
        st.sampled_from(list(table)),
    )


NAMED = st.sampled_from(["x", "y", "z.w"]).map(lambda name: (name, lambda env: env[name]))
WHOLE = st.integers(0, 99).map(lambda n: (str(n), lambda _: n))
SUMS = st.recursive(
    NAMED | WHOLE,
    lambda parts: _signs({"+": operator.add, "-": operator.sub, "*": operator.mul}, parts),
    max_leaves=6,
)
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq,
         "!=": operator.ne}  # fmt: skip
CONDITIONS = st.recursive(
    _signs(ORDER, SUMS),
    lambda parts: (
        _signs({"and": lambda a, b: a and b, "or": lambda a, b: a or b}, parts)
        | parts.map(lambda part: (f"not ({part[0]})", lambda env: not part[1](env)))
    ),
    max_leaves=4,
)


@settings(max_examples=60)
@given(written=CONDITIONS, values=st.lists(st.integers(-50, 50), min_size=3, max_size=3))
def test_conditions_are_worth_what_arithmetic_says(written: Written, values: list[int]) -> None:
    """Whatever is composed of sums, comparisons and logic has the value of the same composition in Python."""
    text, meaning = written
    env = dict(zip(["x", "y", "z.w"], values, strict=True))
    assert parse(text).holds(env.__getitem__) is meaning(env)


PIECES = ["a", "b.c", "1", ".5", "2e3", "'", '"x"', "`", "(", ")", "[", "]", ",", "<", "=", "==", "!", "!=",
          "-", "+", "*", "/", "and", " or ", " not ", " in ", "true", "null", " ", "\\", "\n",
          "é", "."]  # fmt: skip


@settings(max_examples=60)
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=9))
def test_any_text_is_understood_or_refused_within_itself(pieces: list[str]) -> None:
    """No text does anything else; what is understood can be evaluated with nothing known."""
    text = "".join(pieces)
    column = 1
    try:
        expression = parse(text)
    except ExpressionError as error:
        column = error.column
    else:
        assert expression.holds(lambda _: MISSING) in (True, False)
    assert 1 <= column <= len(text) + 1


@settings(max_examples=40)
@given(a=st.integers(-9, 9), b=st.integers(-9, 9), c=st.integers(1, 9))
def test_products_bind_closer_and_signs_run_from_the_left(a: int, b: int, c: int) -> None:
    """Sums and quotients group from the left, products first; `not` binds before `and`, `and` before `or`."""
    env = {"a": a, "b": b, "c": c}.__getitem__
    assert parse("a - b - c").evaluate(env) == a - b - c
    assert parse("a + b * c").evaluate(env) == a + b * c
    assert parse("a / c / c").evaluate(env) == a / c / c
    told = parse("a > 0 or b > 0 and c > 5").holds(env)
    assert told == (a > 0 or (b > 0 and c > 5))
    assert parse("not a > 0 and b > 0").holds(env) == ((not a > 0) and b > 0)
