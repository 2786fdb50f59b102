"""The frozen form of a sweep: every setting with its value, defaults included; its text and its hash.

Reading the document gives an equal spec, also after a default has changed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

from hsm.config.analyses import document_of
from hsm.config.units import render_duration, render_size
from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import (
    DEFAULT_RETRY,
    Axis,
    BatchSpec,
    Choices,
    Dimension,
    EnvironmentSpec,
    GridSpec,
    HuntSpec,
    IntRange,
    Params,
    Rule,
    SourceSpec,
    SweepSpec,
    Value,
)
from hsm.core.states import Cause
from hsm.wire.canonical import NotCanonical, canonical_json
from hsm.wire.hashing import digest
from hsm.wire.yaml_text import yaml_lines, yaml_value

DIGEST_DOMAIN = "hsm.sweep.v1"
_BLOCK_DEPTH = 3


def to_document(spec: SweepSpec) -> dict[str, Value]:
    """Return the plain mapping that describes a spec completely."""
    if spec.follows:
        return {"name": spec.name, "analysis": document_of(spec.analyses[0])}
    document: dict[str, Value] = {"name": spec.name, "program": _program(spec)}
    if spec.grid is not None:
        document["sweep"] = _grid(spec.grid, spec.seeds)
    if spec.hunt is not None:
        document["hunt"] = {**_hunt(spec.hunt), "seeds": spec.seeds}
    document["parameters"] = dict(spec.parameters)
    document["resources"] = _resources(spec)
    if spec.timeout_s is not None:
        document["timeout"] = render_duration(spec.timeout_s)
    document["grace"] = render_duration(spec.grace_s)
    document["retry"] = {cause.value: _retry(spec, cause) for cause in spec.retry if _is_said(spec, cause)}
    document["max_failure_rate"] = spec.max_failure_rate
    document["sources"] = [_source(source) for source in spec.sources]
    if spec.analyses:
        document["analyses"] = {analysis.name: document_of(analysis) for analysis in spec.analyses}
    document["metadata"] = dict(spec.metadata)
    return document


def _is_said(spec: SweepSpec, cause: Cause) -> bool:
    """Tell whether a cause stands in the document: that of batches does not where there are none."""
    is_default = spec.retry[cause] == DEFAULT_RETRY[cause]
    return cause is not Cause.BATCH or spec.program.batch is not None or not is_default


def _retry(spec: SweepSpec, cause: Cause) -> Value:
    growth = spec.growth.get(cause)
    if growth is None:
        return spec.retry[cause]
    rule: dict[str, Value] = {"times": spec.retry[cause], "grow": growth.factor}
    if math.isfinite(growth.up_to):
        is_size = cause is Cause.MEMORY
        rule["up_to"] = render_size(int(growth.up_to)) if is_size else render_duration(growth.up_to)
    return rule


def _program(spec: SweepSpec) -> dict[str, Value]:
    program = spec.program
    return {
        "command": program.command[0] if program.shell else list(program.command),
        "shell": program.shell,
        "arguments": program.arguments.value,
        "files": list(program.files),
        "variables": dict(program.variables),
        **_batch(program.batch),
    }


def _batch(batch: BatchSpec | None) -> dict[str, Value]:
    return {} if batch is None else {"batch": {"size": batch.size, "by": list(batch.by)}}


def _grid(grid: GridSpec, seeds: int) -> dict[str, Value]:
    """Return the section; an axis behind a paired group stays behind it, as a group of one."""
    first_group = next((i for i, axis in enumerate(grid.axes) if len(axis.names) > 1), len(grid.axes))
    alone, groups = grid.axes[:first_group], grid.axes[first_group:]
    return {
        "grid": {axis.names[0]: [point[0] for point in axis.points] for axis in alone},
        "paired": [{"+".join(axis.names): _columns(axis)} for axis in groups],
        "exclude": [dict(rule) for rule in grid.exclude],
        **_forbid(grid.forbid),
        "seeds": seeds,
    }


def _forbid(rules: tuple[Rule, ...]) -> dict[str, Value]:
    written = [
        {"rule": rule.condition, **({"because": rule.because} if rule.because else {})} for rule in rules
    ]
    return {"forbid": written} if rules else {}


def _columns(axis: Axis) -> dict[str, Value]:
    return {name: [point[i] for point in axis.points] for i, name in enumerate(axis.names)}


def _hunt(hunt: HuntSpec) -> dict[str, Value]:
    objectives: list[Value] = [{"metric": o.metric, "direction": o.direction.value} for o in hunt.objectives]
    return {
        "hunter": hunt.hunter,
        "generations": hunt.generations,
        "population": hunt.population,
        "space": {name: _dimension(dimension) for name, dimension in hunt.space.items()},
        "objective": objectives if hunt.further else objectives[0],
        "seed": hunt.seed,
        "options": dict(hunt.options),
        **_forbid(hunt.forbid),
        **_bounds(hunt),
    }


def _bounds(hunt: HuntSpec) -> dict[str, Value]:
    """Return what is set of `stop` and `shares`; what is not set does nothing, now and later."""
    stop: dict[str, Value] = {
        name: value for name, value in asdict(hunt.stop).items() if value not in (None, {})
    }
    shares = asdict(hunt.shares) if hunt.shares is not None else {}
    return {**({"stop": stop} if stop else {}), **({"shares": shares} if shares else {})}


def _dimension(dimension: Dimension) -> dict[str, Value]:
    if isinstance(dimension, Choices):
        return {"choices": list(dimension.values)}
    kind = "integer" if isinstance(dimension, IntRange) else "float"
    return {"low": dimension.low, "high": dimension.high, "log": dimension.log, "type": kind}


def _resources(spec: SweepSpec) -> dict[str, Value]:
    resources = spec.resources
    read: dict[str, Value] = {"cpus": resources.cpus, "gpus": resources.gpus}
    if resources.memory_bytes is not None:
        read["memory"] = render_size(resources.memory_bytes)
    if resources.walltime_s is not None:
        read["walltime"] = render_duration(resources.walltime_s)
    return read


def _source(source: SourceSpec) -> Value:
    if source.environment == EnvironmentSpec() and not source.options:
        return source.name if source.slots is None else f"{source.name}:{source.slots}"
    environment = source.environment
    described: dict[str, Value] = {
        "source": source.name,
        "slots": source.slots,
        "python": environment.python,
        "venv": environment.prefix,
        "modules": list(environment.modules),
        "setup": environment.setup,
        "variables": dict(environment.variables),
        "options": dict(source.options),
    }
    return {key: value for key, value in described.items() if value is not None}


def config_digest(document: Params) -> str:
    """Return the identity of a resolved configuration: what is run, not where, nor what is said about it.

    Raises:
        ConfigError: it is too large to be recorded.
    """
    settings = {key: value for key, value in document.items() if key not in ("metadata", "sources")}
    try:
        canonical_json(document)
        return digest(DIGEST_DOMAIN, canonical_json(settings).encode("utf-8"))
    except NotCanonical as error:
        hint = "shorten the lists of values" if error.path == "$" else ""
        message = f"the resolved configuration cannot be recorded: {error}"
        raise ConfigError([Problem(where="", message=message, hint=hint)]) from error


def dump_document(document: Params) -> str:
    """Return the YAML text of a document, which every reader of YAML 1.1 and 1.2 takes for the same."""
    return "".join(_lines(document, 0))


def _lines(mapping: Mapping[str, Any], depth: int) -> Iterator[str]:
    indent = "  " * depth
    for key, value in mapping.items():
        if isinstance(value, Mapping) and value and depth < _BLOCK_DEPTH:
            yield indent + yaml_lines({key: None}).removesuffix(" null\n") + "\n"
            yield from _lines(value, depth + 1)
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield indent + yaml_lines({key: None}).removesuffix(" null\n") + "\n"
            yield from (f"{indent}- {yaml_value(item)}\n" for item in value)
        else:
            yield indent + yaml_lines({key: value})
