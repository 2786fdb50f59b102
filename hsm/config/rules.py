"""What bounds a sweep: the rules of `forbid:`, and the `stop:` and `shares:` of a hunt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from hsm.config.kinds import Unfit, integer, number, text
from hsm.config.section import Section
from hsm.config.tree import Node
from hsm.config.words import did_you_mean, key_shown, listed, shown
from hsm.core.expression import ExpressionError, parse
from hsm.core.spec import Objective, Rule, Shares, StopRules

STOP_KEYS = ("tasks", "target", "no_improvement", "objective_spread", "parameter_spread")
SHARE_KEYS = ("explore", "exploit", "wildcat")
_RULE_EXAMPLE = "for example `forbid: ['b > 2 and c < 0']`, or {rule: b > 2, because: it diverges}"
_SUM_TOLERANCE = 1e-9


def read_forbid(section: Section) -> tuple[Rule, ...]:
    """Return the rules of a section; that their names are parameters is checked by `check_names`."""
    return tuple(rule for _, rule in _rules(section) if rule is not None)


def check_names(section: Section, names: Collection[str]) -> None:
    """Note every name of a rule that is no parameter, nor a key of one."""
    quiet = Section(Node(section.place, dict(section.nodes)), section.path, type(section.report)())
    for node, rule in _rules(quiet):
        for name in sorted(parse(rule.condition).names) if rule is not None else ():
            if not any(name == known or name.startswith(f"{known}.") for known in names):
                hint = did_you_mean(name, names) or f"the parameters are {listed(names, 'and')}"
                section.note(node.place, f"{section.name('forbid')}: no parameter {key_shown(name)}", hint)


def _rules(section: Section) -> Iterator[tuple[Node, Rule | None]]:
    for index, item in enumerate(section.items("forbid")):
        path = f"forbid[{index}]"
        if isinstance(item.value, dict):
            inner = Section(item, section.below(path), section.report).only(("rule", "because"))
            condition = inner.need("rule", text, "", "rule: b > 2")
            because = inner.read("because", text, "")
            place = inner.nodes.get("rule", item)
        else:
            condition, because, place = section.take(item, section.name(path), text, ""), "", item
        yield place, _rule(section, section.name(path), place, condition, because)


def _rule(section: Section, name: str, node: Node, condition: str, because: str) -> Rule | None:
    if not condition:
        return None
    try:
        expression = parse(condition)
    except ExpressionError as error:
        message = f"{name} is {shown(condition)}; {error.message}"
        section.note(node.place, message, error.hint or _RULE_EXAMPLE)
        return None
    if not expression.is_condition:
        section.note(node.place, f"{name} is {shown(condition)}; expected a condition", _RULE_EXAMPLE)
        return None
    return Rule(condition=condition, because=because)


def read_stop(section: Section, objectives: Sequence[Objective]) -> StopRules:
    """Return when a hunt stops."""
    section.only(STOP_KEYS)
    spread = section.read("objective_spread", _spread, None)
    if spread is not None and len(objectives) > 1:
        node = section.nodes["objective_spread"]
        hint = "use `no_improvement` or `parameter_spread`"
        section.note(node.key_place, f"{section.name('objective_spread')} needs a single objective", hint)
    return StopRules(
        tasks=section.read("tasks", integer(1), None),
        target=_target(section, [objective.metric for objective in objectives]),
        no_improvement=section.read("no_improvement", integer(1), None),
        objective_spread=spread,
        parameter_spread=section.read("parameter_spread", _spread, None),
    )


def _spread(node: Node) -> float:
    value = number(node)
    if value < 0:
        raise Unfit("a number of at least 0")
    return value


def _target(section: Section, metrics: Sequence[str]) -> Mapping[str, float]:
    node = section.nodes.get("target")
    if node is None:
        return {}
    if not isinstance(node.value, dict):
        if len(metrics) > 1:
            message = (
                f"{section.name('target')} is {shown(node.plain())}; expected a map of metrics to numbers"
            )
            section.note(node.place, message, f"for example `target: {{{metrics[0]}: 0.9}}`")
            return {}
        value = section.read("target", number, None)
        return {} if value is None else {metrics[0]: value}
    inner = section.section("target").only(metrics)
    read = {metric: inner.read(metric, number, None) for metric in metrics}
    return {metric: value for metric, value in read.items() if value is not None}


def read_shares(section: Section) -> Shares | None:
    """Return the shares of a hunt, or None where it has none of its own."""
    if "shares" not in section.nodes:
        return None
    inner = section.section("shares").only(SHARE_KEYS)
    before = len(inner.report.problems)
    read = {key: inner.need(key, _share, 0.0, f"{key}: 0.1") for key in SHARE_KEYS}
    total = sum(read.values())
    if inner.is_map and len(inner.report.problems) == before and abs(total - 1.0) > _SUM_TOLERANCE:
        told = " + ".join(f"{value:g}" for value in read.values())
        hint = "for example {explore: 0.1, exploit: 0.8, wildcat: 0.1}"
        inner.note(inner.place, f"{section.name('shares')} sum to {told} = {total:g}; expected 1", hint)
    return Shares(explore=read["explore"], exploit=read["exploit"], wildcat=read["wildcat"])


def _share(node: Node) -> float:
    value = number(node)
    if not 0 <= value <= 1:
        raise Unfit("a number from 0 to 1")
    return value
