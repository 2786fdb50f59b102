"""JSON schema of the sweep file and of `hsm.yaml`, for editors: made from what the readers ask for.

Only what lies in open maps (an axis, a dimension) and the words for a person stand here. An editor is told
what a value looks like; what values mean together (a placeholder without a parameter) only HSM itself knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from hsm.config.analyses import NAME as ANALYSIS_NAME
from hsm.config.hunts import DIMENSION_KEYS
from hsm.config.kinds import PARAMETER_NAME, Reader, factor, integer, whole
from hsm.config.outline import Outline, settings_outline, sweep_outline
from hsm.config.retries import DEFAULT_FACTOR, GROWING, MAX_RETRIES
from hsm.config.section import schema_of
from hsm.config.settings import SWEEP_KEYS
from hsm.config.sources import KINDS
from hsm.config.units import render_duration
from hsm.core.spec import DEFAULT_RETRY
from hsm.core.states import Cause

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The newest one that the editors' YAML language server knows wholly."""

Schema = dict[str, Any]

_CALL = {"type": "string", "pattern": r"^(choice|range|sort|interval|tag)\s*\(.*\)$"}
_AXIS = {"anyOf": [{"type": "array", "minItems": 1}, _CALL, {"type": "object"}]}
_NAMES = {"pattern": whole(PARAMETER_NAME)}
_SOURCE_WORD = {"type": "string", "pattern": rf"^({'|'.join(KINDS)})(:.+)?$", "examples": ["local:4"]}
_DIMENSION = {
    "anyOf": [
        {
            "type": "object",
            "required": ["choices"],
            "properties": {
                "choices": {"type": "array", "minItems": 1, "description": "The values, in no order."}
            },
        },
        {
            "type": "object",
            "required": ["low", "high"],
            "properties": {
                "low": {"type": "number", "description": "The lower end, included."},
                "high": {"type": "number", "description": "The upper end, included."},
                "log": {"type": "boolean", "description": "Searched evenly in the logarithm."},
                "type": {"enum": ["float", "integer"], "description": "Which numbers are proposed."},
            },
        },
        _CALL,
        {"type": "object", "not": {"anyOf": [{"required": [key]} for key in DIMENSION_KEYS]}},
    ]
}
_RULE: Schema = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {
            "type": "object",
            "required": ["rule"],
            "additionalProperties": False,
            "properties": {
                "rule": {"type": "string", "minLength": 1, "description": "A condition over parameters."},
                "because": {"type": "string", "description": "Why; told wherever the rule decides."},
            },
        },
    ]
}
_SHARE = {"type": "number", "minimum": 0, "maximum": 1}


def _growing(cause: Cause, up_to: Reader[Any]) -> Schema:
    """Return the schema of a number of retries that may be a rule of growth instead."""
    times = schema_of(integer(0, MAX_RETRIES))
    rule = {
        "type": "object",
        "required": ["times"],
        "additionalProperties": False,
        "properties": {
            "times": {**times, "description": "Attempts beyond the first."},
            "grow": {**factor.schema, "default": DEFAULT_FACTOR, "description": "The limit grows by this."},
            "up_to": {**schema_of(up_to), "description": "The limit does not grow beyond this."},
        },
    }
    return {"anyOf": [times, rule], "default": DEFAULT_RETRY[cause]}


_COMMAND: Schema = {
    "anyOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "minItems": 1, "items": {"type": ["string", "number"]}},
    ]
}
_OPEN: Mapping[str, Schema] = {
    "program.command": _COMMAND,
    "analyses.NAME.command": _COMMAND,
    "sweep.grid": {"type": "object", "propertyNames": _NAMES, "additionalProperties": _AXIS},
    "sweep.paired": {
        "type": "array",
        "items": {
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": _AXIS},
        },
    },
    "sweep.exclude": {"type": "array", "items": {"type": "object", "minProperties": 1}},
    "sweep.forbid": {"type": "array", "items": _RULE},
    "hunt.forbid": {"type": "array", "items": _RULE},
    "hunt.space": {"type": "object", "minProperties": 1, "additionalProperties": _DIMENSION},
    "hunt.shares": {
        "type": "object",
        "required": ["explore", "exploit", "wildcat"],
        "additionalProperties": False,
        "properties": {
            "explore": {**_SHARE, "description": "Draws from the whole space."},
            "exploit": {**_SHARE, "description": "What follows the best that is known."},
            "wildcat": {**_SHARE, "description": "Leaps from good sets; the three shares make 1."},
        },
    },
    "hunt.stop.target": {
        "anyOf": [{"type": "number"}, {"type": "object", "additionalProperties": {"type": "number"}}]
    },
    "hunt.stop.objective_spread": {"type": "number", "minimum": 0},
    "hunt.stop.parameter_spread": {"type": "number", "minimum": 0},
    "parameters": {"type": "object", "propertyNames": _NAMES},
    **{f"retry.{cause}": _growing(cause, reader) for cause, reader in GROWING.items()},
}
ANALYSIS = "analyses.NAME"
"""The path of an analysis in the outline; in a file stands its name."""
_REQUIRED: Mapping[str, tuple[str, ...]] = {"program": ("command",), "hunt": ("space", "objective")}

MEANINGS: Mapping[str, str] = {
    "name": "Begins the sweep's id.",
    "program": "The program that every task runs.",
    "program.command": "The argv template; {name} is replaced by a parameter's value.",
    "program.shell": "The command is one line for /bin/sh; values are inserted quoted.",
    "program.arguments": "`hydra` appends name=value for every parameter.",
    "program.files": "Globs of files that are pinned beside what git tracks; after a dash, that are not.",
    "program.variables": "Environment variables of every attempt.",
    "program.batch": "One process is given many tasks at a time.",
    "program.batch.size": "So many tasks at most.",
    "program.batch.by": "Parameters in which tasks of a batch agree.",
    "sweep": "A fixed set of tasks.",
    "sweep.grid": "Every combination of these lists; the last key changes fastest.",
    "sweep.paired": "Groups of lists that go together.",
    "sweep.exclude": "Combinations that are left out.",
    "sweep.forbid": "Rules over parameters; what they hold for is left out, such as `b > 2 and c < 0`.",
    "sweep.seeds": "Replicates of every parameter set.",
    "hunt": "A search that proposes its tasks, generation by generation.",
    "hunt.hunter": "Who proposes: grid, random, evolution, or one that is installed.",
    "hunt.generations": "How often the hunter is asked.",
    "hunt.population": "Tasks in a generation.",
    "hunt.space": "What is searched: name to {low, high, log, type} or {choices}.",
    "hunt.objective": "What is optimised.",
    "hunt.objective.metric": "A metric of metrics.json.",
    "hunt.objective.direction": "Whether a larger or a smaller metric is better.",
    "hunt.seed": "Seed of the hunter's random numbers.",
    "hunt.seeds": "Replicates of every proposal.",
    "hunt.forbid": "Rules over parameters; what they hold for is never proposed.",
    "hunt.shares": "How much of a generation explores, exploits, and is wild.",
    "hunt.stop": "When the hunt ends before its last generation.",
    "hunt.stop.tasks": "So many tasks have been proposed.",
    "hunt.stop.target": "Values, by metric, that one parameter set must reach.",
    "hunt.stop.no_improvement": "So many generations in a row brought nothing better.",
    "hunt.stop.objective_spread": "The scores of the better half lie within this.",
    "hunt.stop.parameter_spread": "The parameters of the better half lie within this share of their range.",
    "hunt.options": "The hunter's own settings.",
    "parameters": "Constants that every task gets.",
    "resources": "What one attempt needs.",
    "resources.cpus": "Processor cores of one attempt.",
    "resources.memory": "Memory limit of one attempt, such as 1GiB.",
    "resources.gpus": "GPUs of one attempt.",
    "resources.walltime": "Limit on the run time of one attempt, told to schedulers too.",
    "timeout": "Limit on the run time of one attempt, such as 10m.",
    "grace": "Time between the request to end and the kill.",
    "retry": "Attempts beyond the first, by cause of failure.",
    "retry.application": "The program failed by itself.",
    "retry.time": "It ran into its time limit.",
    "retry.memory": "It ran out of memory.",
    "retry.node": "The machine under it failed.",
    "retry.preempted": "It was put off its machine for other work.",
    "retry.transfer": "Its files could not be brought home.",
    "retry.lost": "It vanished without an exit record.",
    "retry.protocol": "Its evidence does not fit together.",
    "retry.batch": "The process that it shared with others ended before it did.",
    "max_failure_rate": "The sweep stops when more than this part of its finished tasks failed.",
    "sources": "Where attempts run, and what each source needs.",
    "analyses": "Programs that look at each result, beside the sweep: by their names.",
    "analyses.NAME.command": "The argv template; {artifact}, {result} and {task_id} are filled in.",
    "analyses.NAME.shell": "The command is one line for /bin/sh; values are inserted quoted.",
    "analyses.NAME.files": "Globs of files that are pinned beside what git tracks.",
    "analyses.NAME.variables": "Environment variables of every analysis.",
    "analyses.NAME.artifact": "The file of a result that it needs, such as results/*.h5.",
    "analyses.NAME.slots": "So many results at a time.",
    "analyses.NAME.timeout": "Limit on the run time of one analysis, such as 10m.",
    "analyses.NAME.retry": "Attempts beyond the first, by cause of failure.",
    "metadata": "Free; recorded, and no part of the configuration's identity.",
    "forbid": "Rules for parameter sets that no task may have.",
    "stop": "When to end before the last generation.",
    "shares": "Shares of what is proposed to explore and to exploit.",
    "outputs": "Where sweeps are kept, from the project's root.",
    "ssh_config": "How hosts are reached: a file in the format of ~/.ssh/config, instead of that.",
    "source": "Such as local:4, ssh:HOST:8 or slurm:CLUSTER.",
    "slots": "Attempts at a time when the user names no number.",
    "python": "The interpreter.",
    "venv": "A virtual environment.",
    "conda": "The prefix of a conda environment.",
    "modules": "Loaded with `module load`, in order.",
    "setup": "A script that is sourced once per session.",
    "variables": "Environment variables.",
    "options": "The source's own settings.",
}
"""What keys are for, by path; those of a source by their last word."""


def sweep_schema() -> Schema:
    """Return the schema of a sweep file."""
    outline = sweep_outline()
    schema = _map("", outline)
    properties = schema["properties"]
    entry = _map("sources[0]", outline)
    entry["required"] = ["source"]
    entry["properties"]["source"] = {**_SOURCE_WORD, "description": MEANINGS["source"]}
    properties["sources"]["items"] = {"anyOf": [_SOURCE_WORD, entry]}
    analysis = _map(ANALYSIS, outline)
    properties["analyses"]["propertyNames"] = {"pattern": whole(ANALYSIS_NAME)}
    properties["analyses"]["additionalProperties"] = {"anyOf": [analysis, {"type": "null"}]}
    properties["defaults"] = {"type": "array", "description": "Other files that lie beneath this one."}
    schema["if"] = {"not": {"required": ["defaults"]}}  # what is missing here may stand in another file
    schema["then"] = {
        "required": ["name", "program"],
        "oneOf": [{"required": ["sweep"]}, {"required": ["hunt"]}],
        "properties": {path: {"required": _required(path, outline)} for path in _REQUIRED},
    }
    return {"$schema": DIALECT, "title": "HSM sweep file", **schema}


def settings_schema() -> Schema:
    """Return the schema of `hsm.yaml` and of the settings of user and site."""
    outline = settings_outline()
    schema = _map("", outline)
    source = _map("sources.local", outline)
    source["type"] = ["object", "null"]
    sources = schema["properties"]["sources"]
    sources["propertyNames"] = {"pattern": rf"^({'|'.join(KINDS)})(:.+)?$"}
    sources["additionalProperties"] = source
    return {"$schema": DIALECT, "title": "HSM settings", **schema}


def setting_names() -> list[str]:
    """Return the dotted paths of all settings that have a fixed name."""
    outline = settings_outline()
    inner = [f"{path}.{key}" for path in SWEEP_KEYS for key in outline.known.get(path, ())]
    return [*outline.known[""], *inner]


def _map(path: str, outline: Outline) -> Schema:
    keys = outline.known[path]
    properties = {key: _key(f"{path}.{key}".removeprefix("."), outline) for key in keys}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _key(path: str, outline: Outline) -> Schema:
    schema: Schema = dict(_OPEN.get(path) or outline.forms.get(path, {}))
    if path in outline.known:
        schema = {**schema, **_map(path, outline)}
    if path in outline.known and f"{path}[0]" in outline.known:
        schema = {"anyOf": [schema, {"type": "array", "minItems": 1, "items": _map(f"{path}[0]", outline)}]}
    words = (path, path.removeprefix(f"{ANALYSIS}."), path.rpartition(".")[2])
    description = next((MEANINGS[word] for word in words if word in MEANINGS), "")
    if description:
        schema["description"] = description
    default = _default(path, outline)
    if default is not None:
        schema["default"] = default
    return schema


def _default(path: str, outline: Outline) -> object:
    default = outline.defaults.get(path)
    if path.rpartition(".")[2] in _required(path.rpartition(".")[0], outline):
        return None
    if isinstance(default, StrEnum):
        return default.value
    is_duration = isinstance(default, float) and outline.forms[path].get("type") == "string"
    return render_duration(default) if is_duration and isinstance(default, float) else default


def _required(path: str, outline: Outline) -> list[str]:
    return list(_unique([*outline.required.get(path, ()), *_REQUIRED.get(path, ())]))


def _unique(words: Iterable[str]) -> Iterable[str]:
    return dict.fromkeys(words)
