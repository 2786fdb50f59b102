"""The rules of `forbid:` at work: which rule a parameter set breaks. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hsm.core.expression import MISSING, Expression, Found, parse
from hsm.core.spec import Params, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraints:
    """The rules of a sweep, understood. `broken` counts for each how many parameter sets it forbade."""

    rules: tuple[tuple[Rule, Expression], ...]
    broken: Counter[Rule] = field(default_factory=Counter)

    @classmethod
    def of(cls, rules: Iterable[Rule]) -> Constraints:
        """Understand some rules.

        Raises:
            ExpressionError: a condition is no expression.
        """
        return cls(rules=tuple((rule, parse(rule.condition)) for rule in rules))

    def permit(self, params: Params) -> bool:
        """Tell whether no rule forbids a parameter set."""
        for rule, condition in self.rules:
            if condition.holds(lambda name: parameter(params, name)):
                self.broken[rule] += 1
                return False
        return True

    @property
    def words(self) -> str:
        """The rules that forbade most, with their reasons."""
        return "; ".join(words(rule) for rule, _ in self.broken.most_common(3))


def words(rule: Rule) -> str:
    """Return a rule as a person would say it."""
    return f"{rule.condition} ({rule.because})" if rule.because else rule.condition


def parameter(params: Params, name: str) -> Found:
    """Return a parameter by its dotted name: whole, or a key of a parameter that is a map."""
    if name in params:
        return params[name]
    head = name.rpartition(".")[0]
    while head:
        inner = params.get(head)
        if isinstance(inner, Mapping):
            return parameter(inner, name[len(head) + 1 :])
        head = head.rpartition(".")[0]
    return MISSING
