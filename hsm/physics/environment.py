"""What HSM tells a program, and where the program looks for its parameters. Everything is optional."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

CHECKPOINT_EVERY_S = "30"


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The HSM_* variables that concern this program.

    deadline_s: seconds since 1970. checkpoint: a folder that all attempts of the task share, written to about
    every checkpoint_every_s; 0: after every chunk.
    """

    params_file: Path | None
    results: Path
    seed: str | None
    config_hash: str | None
    task_id: str | None
    attempt: int | None
    deadline_s: float | None
    checkpoint: Path | None
    checkpoint_every_s: float

    @property
    def is_alone(self) -> bool:
        """Tell that nobody makes the files durable but this program."""
        return self.attempt is None


def read_environment(environ: Mapping[str, str]) -> tuple[Environment, list[str]]:
    """Read HSM_*, and return what is wrong with it too; a variable that is empty counts as not set."""
    problems: list[str] = []
    found = {name: value for name, value in environ.items() if name.startswith("HSM_") and value}
    environment = Environment(
        params_file=Path(found["HSM_PARAMS"]) if "HSM_PARAMS" in found else None,
        results=Path(found.get("HSM_RESULTS", "results")),
        seed=found.get("HSM_SEED"),
        config_hash=found.get("HSM_CONFIG_HASH"),
        task_id=found.get("HSM_TASK_ID"),
        attempt=int(found["HSM_ATTEMPT"]) if found.get("HSM_ATTEMPT", "").isdecimal() else None,
        deadline_s=_deadline(found["HSM_DEADLINE"], problems) if "HSM_DEADLINE" in found else None,
        checkpoint=Path(found["HSM_CHECKPOINT"]) if "HSM_CHECKPOINT" in found else None,
        checkpoint_every_s=_interval(found.get("HSM_CHECKPOINT_EVERY_S", CHECKPOINT_EVERY_S), problems),
    )
    return environment, problems


def _deadline(text: str, problems: list[str]) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        problems.append(f"HSM_DEADLINE: expected seconds since 1970 or an ISO 8601 time, got {text!r}")
        return 0.0
    return moment.timestamp()


def _interval(text: str, problems: list[str]) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:  # also refuses nan
        problems.append(f"HSM_CHECKPOINT_EVERY_S: expected a number of seconds, got {text!r}")
    return seconds


def given_parameters(
    environment: Environment, arguments: Sequence[str]
) -> tuple[dict[str, object], list[str]]:
    """Merge the parameter sources, and return what is wrong with them too.

    key=value arguments win over the file, the file's `seed` over HSM_SEED.
    """
    problems: list[str] = []
    given = _from_file(environment.params_file, problems)
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals or not key:
            problems.append(f"{argument}: expected key=value")
            continue
        given[key] = _yaml_value(key, text, problems)
    if environment.seed is not None and str(given.setdefault("seed", environment.seed)) != environment.seed:
        print(f"note: HSM_SEED={environment.seed} is not used, since seed is given", file=sys.stderr)
    return given, problems


def _from_file(path: Path | None, problems: list[str]) -> dict[str, object]:
    if path is None:
        return {}
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        problems.append(f"HSM_PARAMS: {path} cannot be read: {error}")
        return {}
    if content is None:
        return {}
    if not isinstance(content, dict):
        problems.append(f"HSM_PARAMS: {path} must hold `key: value` lines, not {type(content).__name__}")
        return {}
    return {str(key): value for key, value in content.items()}


def _yaml_value(key: str, text: str, problems: list[str]) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        problems.append(f"{key}: {text!r} cannot be read as a value")
        return None


def available_cpus() -> int:
    """Return the number of cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
