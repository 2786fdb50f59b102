"""Conditions over names, as users write them: `b > 2 and c < 0`, `metric.pcs > 0.8 and status == 'sealed'`.

Text becomes a tree by the grammar below and a tree becomes a value by walking it: nothing is ever run.

    condition   = conjunction {"or" conjunction}
    conjunction = negation {"and" negation}
    negation    = "not" negation | comparison
    comparison  = sum {("==" | "!=" | "<" | "<=" | ">" | ">=" | "in" | "not in") sum}  (0 < b <= 3 is a chain)
    sum         = product {("+" | "-") product}
    product     = factor {("*" | "/") factor}
    factor      = ("-" | "+") factor | atom
    atom        = number | 'text' | "text" | true | false | null | name | [list] | (condition)

A name may have dots; one with other characters stands in backticks. How values compare is said in
`hsm.core.expression_tree`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from hsm.core.errors import ExitCode, HsmError
from hsm.core.expression_tree import (
    MISSING,
    Arithmetic,
    Comparison,
    Found,
    Items,
    Literal,
    Logic,
    Lookup,
    Missing,
    Name,
    Tree,
    can_count,
    can_hold,
    names_in,
    value_of,
)

__all__ = ["MISSING", "Expression", "ExpressionError", "Found", "Lookup", "Missing", "parse"]

MAX_LENGTH = 2000
MAX_DEPTH = 40
_WORDS = {
    "true": True,
    "True": True,
    "false": False,
    "False": False,
    "null": None,
    "None": None,
}
_KEYWORDS = frozenset({"and", "or", "not", "in"})
_SIGNS = frozenset({"==", "!=", "<", "<=", ">", ">=", "in", "not in"})
_TOKEN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)(?![A-Za-z0-9_.])
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_]+)*)
    | `(?P<quoted>[^`]+)`
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<sign>==|!=|<=|>=|[-+*/<>()\[\],])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.DOTALL,
)
_MEANT = {
    "=": "equality is written ==",
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or != between two values",
    "^": "a power is written as a product: x * x",
    "%": "there is no remainder",
    "'": "the text has no end; close the quote",
    '"': "the text has no end; close the quote",
    "`": "the name has no end; close the backtick",
}


class ExpressionError(HsmError):
    """A text is no expression. `column` counts from 1, and is one past the end where something lacks."""

    code = "expression.invalid"
    exit_code = ExitCode.USAGE

    def __init__(self, text: str, column: int, what: str, *, hint: str = "") -> None:
        super().__init__(f"column {column}: {what}", hint=hint)
        self.text = text
        self.column = column
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """An expression that was understood."""

    text: str
    tree: Tree

    @property
    def names(self) -> frozenset[str]:
        """Every name that occurs."""
        return frozenset(names_in(self.tree))

    @property
    def is_condition(self) -> bool:
        """Whether it can be true: it is not a number, a text or a list."""
        return can_hold(self.tree)

    def evaluate(self, lookup: Lookup) -> Found:
        """Return its value; MISSING where it is computed from what is not there.

        `lookup` gives the value of a name; it returns MISSING, or raises KeyError, where there is none.
        """
        return value_of(self.tree, lookup)

    def holds(self, lookup: Lookup) -> bool:
        """Tell whether it is true; what is missing, null or no boolean does not hold."""
        return value_of(self.tree, lookup) is True


def parse(text: str) -> Expression:
    """Return the expression that a text is.

    Raises:
        ExpressionError: it is none; with the column of the first fault.
    """
    if len(text) > MAX_LENGTH:
        raise ExpressionError(text, MAX_LENGTH + 1, f"more than {MAX_LENGTH} characters")
    return Expression(text=text, tree=_Parser(text).whole())


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    word: str
    column: int

    @property
    def shown(self) -> str:
        return "the end" if self.kind == "end" else f"`{self.word}`"


class _Parser:
    """A parser by recursive descent, one token ahead."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.depth = 0
        self.tokens = _tokens(text)
        self.token = self.tokens[0]
        self.place = 0

    def whole(self) -> Tree:
        """Parse the whole text."""
        tree = self._either()
        if self.token.kind != "end":
            raise self._fault(f"{self.token.shown} was not expected here", _JOIN_HINT)
        return tree

    def _either(self) -> Tree:
        return self._joined("or", self._both)

    def _both(self) -> Tree:
        return self._joined("and", self._negation)

    def _joined(self, word: str, part: Callable[[], Tree]) -> Tree:
        first, tree = self.token, part()
        if not self._sees(word):
            return tree
        parts = [self._fit(tree, first, can_hold, _CONDITION)]
        while self._sees(word):
            self._advance()
            first = self.token
            parts.append(self._fit(part(), first, can_hold, _CONDITION))
        return Logic(word, tuple(parts))

    def _negation(self) -> Tree:
        if not self._sees("not"):
            return self._comparison()
        self._advance()
        first = self.token
        return self._deeper(lambda: Logic("not", (self._fit(self._negation(), first, can_hold, _CONDITION),)))

    def _comparison(self) -> Tree:
        terms, signs = [self._sum()], []
        while (sign := self._comparing()) in _SIGNS:
            self._advance(2 if sign == "not in" else 1)
            signs.append(sign)
            terms.append(self._sum())
        return Comparison(tuple(signs), tuple(terms)) if signs else terms[0]

    def _comparing(self) -> str:
        if self._sees("not"):
            following = self.tokens[self.place + 1]
            return "not in" if (following.kind, following.word) == ("keyword", "in") else ""
        return self.token.word if self.token.kind in ("sign", "keyword") else ""

    def _sum(self) -> Tree:
        return self._computed("+-", self._product)

    def _product(self) -> Tree:
        return self._computed("*/", self._factor)

    def _computed(self, signs: str, part: Callable[[], Tree]) -> Tree:
        first, tree = self.token, part()
        while self.token.kind == "sign" and self.token.word in signs:
            left = self._fit(tree, first, can_count, _NUMBER)
            sign = self.token.word
            self._advance()
            second = self.token
            tree = Arithmetic(sign, left, self._fit(part(), second, can_count, _NUMBER))
        return tree

    def _factor(self) -> Tree:
        if not (self.token.kind == "sign" and self.token.word in "+-"):
            return self._atom()
        sign = self.token.word
        self._advance()
        first = self.token
        inner = self._deeper(self._factor)
        return Arithmetic(sign, Literal(0), self._fit(inner, first, can_count, _NUMBER))

    def _atom(self) -> Tree:
        token = self.token
        if token.kind == "sign" and token.word == "(":
            self._advance()
            return self._closed(self._deeper(self._either), ")")
        if token.kind == "sign" and token.word == "[":
            self._advance()
            return self._closed(self._deeper(self._items), "]")
        tree = self._simple(token)
        self._advance()
        return tree

    def _simple(self, token: _Token) -> Tree:
        match token.kind:
            case "number":
                return Literal(self._number(token))
            case "text":
                return Literal(re.sub(r"\\(.)", r"\1", token.word[1:-1], flags=re.DOTALL))
            case "word":
                return Literal(_WORDS[token.word])
            case "name":
                return Name(token.word)
            case _:
                raise self._fault(f"expected a value, found {token.shown}", "for example `b > 2 and c < 0`")

    def _number(self, token: _Token) -> float:
        value = int(token.word) if token.word.isdecimal() else float(token.word)
        if isinstance(value, float) and not math.isfinite(value):
            raise self._fault(f"{token.shown} is too large for a number")
        return value

    def _items(self) -> Tree:
        if self.token.word == "]" and self.token.kind == "sign":
            return Items(())
        items = [self._sum()]
        while self.token.kind == "sign" and self.token.word == ",":
            self._advance()
            items.append(self._sum())
        return Items(tuple(items))

    def _closed(self, tree: Tree, mark: str) -> Tree:
        if not (self.token.kind == "sign" and self.token.word == mark):
            raise self._fault(f"expected `{mark}`, found {self.token.shown}")
        self._advance()
        return tree

    def _deeper(self, part: Callable[[], Tree]) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self._fault(f"nested deeper than {MAX_DEPTH}")
        tree = part()
        self.depth -= 1
        return tree

    def _sees(self, word: str) -> bool:
        return self.token.kind == "keyword" and self.token.word == word

    def _advance(self, count: int = 1) -> None:
        self.place += count
        self.token = self.tokens[self.place]

    def _fit(self, tree: Tree, first: _Token, fits: Callable[[Tree], bool], wanted: str) -> Tree:
        """Return a tree that can be what is wanted at its place."""
        if not fits(tree):
            raise ExpressionError(self.text, first.column, f"expected {wanted} at {first.shown}")
        return tree

    def _fault(self, what: str, hint: str = "") -> ExpressionError:
        return ExpressionError(self.text, self.token.column, what, hint=hint)


_CONDITION, _NUMBER = "a condition, such as b > 2,", "a number"
_JOIN_HINT = "conditions are joined by `and` or `or`"


def _tokens(text: str) -> list[_Token]:
    found: list[_Token] = []
    offset = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, offset)
        if match is None:
            raise _unreadable(text, offset)
        kind = str(match.lastgroup)
        found.append(_classified(kind, match.group(kind), match.start(kind) + 1 - (kind == "quoted")))
        offset = match.end()
    return found


def _classified(kind: str, word: str, column: int) -> _Token:
    if kind == "name" and word in _KEYWORDS:
        kind = "keyword"
    elif kind == "name" and word in _WORDS:
        kind = "word"
    return _Token("name" if kind == "quoted" else kind, word, column)


def _unreadable(text: str, offset: int) -> ExpressionError:
    start = offset + len(text[offset:]) - len(text[offset:].lstrip(" \t\r\n"))
    character = text[start]
    is_number = re.match(r"\.?[0-9]", text[start:]) is not None
    what = "a number goes wrong here" if is_number else f"{character!a} was not expected here"
    return ExpressionError(text, start + 1, what, hint=_MEANT.get(character, ""))
