"""The one place that touches Hydra: its override grammar and its compose API.

Hydra composes the shape of a configuration and never sees a value: every scalar and every list travels
as an opaque word and is put back afterwards. So types are kept, every value keeps its place, and no
interpolation in the data is ever evaluated.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

import hydra
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser, create_functions
from hydra.core.override_parser.types import (
    ChoiceSweep,
    Glob,
    IntervalSweep,
    Override,
    OverrideType,
    QuotedString,
    RangeSweep,
)
from hydra.core.plugins import Plugins
from hydra.errors import HydraException, MissingConfigException
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.plugins.search_path_plugin import SearchPathPlugin
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hsm.config.functions import Element, Interval, Misused, Points, steps
from hsm.config.reader import MAX_BYTES, MAX_DEPTH
from hsm.config.words import did_you_mean, escaped, listed, shown, text_fault
from hsm.core.spec import Value

PRIMARY = "hsm-sweep-file"
_MAX_INT = 1 << 63


class Library(Protocol):
    """The YAML files that Hydra may compose, as shapes without values."""

    def shape(self, config_path: str) -> dict[str, Any]:
        """Return a file's shape; its defaults list is the one thing kept as it is."""
        ...

    def header(self, config_path: str) -> str:
        """Return the text of a file, whose first comments may name its package."""
        ...

    def is_group(self, config_path: str) -> bool:
        """Whether this is a folder with configurations."""
        ...

    def is_config(self, config_path: str) -> bool:
        """Whether this is a configuration."""
        ...

    def options(self, config_path: str) -> list[str]:
        """Return the configurations of a group."""
        ...


_library: ContextVar[Library | None] = ContextVar("hsm_config_library", default=None)


class StrictSource(ConfigSource):
    """Gives Hydra the shapes of the library in use."""

    @staticmethod
    def scheme() -> str:
        return "hsm-strict"

    @property
    def library(self) -> Library:
        library = _library.get()
        if library is None:
            raise LookupError("no composition is under way")
        return library

    def load_config(self, config_path: str) -> ConfigResult:
        header = self._get_header_dict(self.library.header(config_path))
        shape = OmegaConf.create(self.library.shape(config_path))
        return ConfigResult(provider=self.provider, path=self.full_path(), config=shape, header=header)

    def available(self) -> bool:
        return True

    def is_group(self, config_path: str) -> bool:
        return self.library.is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        return self.library.is_config(config_path)

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return [] if results_filter is ObjectType.GROUP else self.library.options(config_path)


class StrictSearchPath(SearchPathPlugin):
    """Puts the library in use on Hydra's search path, and nothing when there is none."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        if _library.get() is not None:
            search_path.append("hsm", f"{StrictSource.scheme()}://")


class OverrideKind(StrEnum):
    """What an override does."""

    CHANGE = ""
    ADD = "+"
    FORCE = "++"
    DELETE = "~"


_KINDS = {
    OverrideType.CHANGE: OverrideKind.CHANGE,
    OverrideType.ADD: OverrideKind.ADD,
    OverrideType.FORCE_ADD: OverrideKind.FORCE,
    OverrideType.DEL: OverrideKind.DELETE,
}


@dataclass(frozen=True, slots=True)
class ReadOverride:
    """An override taken apart. `package` is what follows `@` in a choice of a group."""

    line: str
    kind: OverrideKind
    key: str
    package: str | None
    element: Element

    @property
    def has_value(self) -> bool:
        """Whether there is an equals sign."""
        return "=" in self.line


def _parser() -> OverridesParser:
    functions = create_functions()
    # Hydra would shuffle a list while reading it; mark it instead, so that it can be refused.
    functions.functions["shuffle"] = lambda *_, **__: ChoiceSweep(shuffle=True)
    return OverridesParser(functions)


def read_override(line: str) -> ReadOverride:
    """Return an override, read with Hydra's grammar.

    Raises:
        Misused: it cannot be read, or says something that has no meaning here.
    """
    _check_text(line)
    try:
        override: Override = _parser().parse_override(line)
    except (HydraException, RecursionError) as error:
        raise Misused(f"cannot be read: {_first_line(error)}", _syntax_hint(line, error)) from None
    return ReadOverride(
        line=line,
        kind=_KINDS[override.type],
        key=override.key_or_group,
        package=override.package,
        element=_element(override._value),  # noqa: SLF001 - value() would unwrap no sweep's quoted texts
    )


def read_element(text: str) -> Element:
    """Return what the value part of an override says.

    Raises:
        Misused: it cannot be read.
    """
    _check_text(text)
    try:
        return _element(_parser().parse_rule(text, "value"))
    except (HydraException, RecursionError) as error:
        raise Misused(f"cannot be read: {_first_line(error)}", _syntax_hint(f"={text}", error)) from None


def _check_text(text: str) -> None:
    if len(text) > MAX_BYTES // 16:
        raise Misused(f"is longer than {MAX_BYTES // 16} characters", "write it into the file")
    depth = deepest = 0
    for character in text:
        depth += (character in "[{(") - (character in "]})")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        raise Misused(f"is nested deeper than {MAX_DEPTH}")
    if fault := text_fault(text):
        raise Misused(fault)


_FUNCTIONS = ("choice", "range", "interval", "tag", "sort", "int", "float", "str", "bool")


def _syntax_hint(line: str, error: BaseException) -> str:
    if match := re.search(r"Unknown function '(\w+)'", str(error)):
        return did_you_mean(match[1], _FUNCTIONS) or f"known: {listed(_FUNCTIONS, 'and')}"
    if "while evaluating" in str(error):
        return ""
    if "=" not in line and not line.startswith("~"):
        return "an override is written key=value, +key=value or ~key"
    return "quote text that holds blanks, commas, brackets or braces: key='some, text'"


_NOISE = re.compile(
    r"Error parsing override|See https://|^\s*$|full_key|object_type|reference_type|^Available"
)
_EVALUATING = re.compile(r"\w+ while evaluating '.*?': ", re.DOTALL)


def _first_line(error: BaseException) -> str:
    said = _EVALUATING.sub("", str(error))
    lines = [line.strip() for line in said.splitlines() if not _NOISE.search(line)]
    return escaped(lines[0])[:300] if lines else type(error).__name__


def _element(value: Any) -> Element:
    match value:
        case ChoiceSweep(shuffle=True) | RangeSweep(shuffle=True):
            raise Misused("shuffle() is not supported", "the order of tasks is part of a sweep's identity")
        case Glob():
            raise Misused("glob() is not supported", "name the values: choice(a, b)")
        case ChoiceSweep(list=items):
            return Points([_plain(item) for item in items])
        case RangeSweep(start=start, stop=stop, step=step) if start is not None and stop is not None:
            return steps(start, stop, step)
        case IntervalSweep(start=start, end=end, tags=tags) if start is not None and end is not None:
            return Interval(_finite(start), _finite(end), frozenset(tags))
        case _:
            return _plain(value)


def _plain(value: Any) -> Value:
    if isinstance(value, QuotedString):
        value = value.text
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, str) and (fault := text_fault(value)):
        raise Misused(fault)
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, int) and not -_MAX_INT <= value < _MAX_INT:
        raise Misused(f"{str(value)[:40]} needs more than 64 bits", "quote it, as text")
    if value is None or isinstance(value, bool | int | str):
        return value
    raise Misused(f"{shown(str(value))} cannot be a value")


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key
    raise Misused(f"the key {shown(str(key))} of a map is not text")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise Misused(f"{value} is not a finite number", "quote it if the word itself is meant")
    return value


def compose(library: Library, lines: Sequence[str]) -> dict[str, Any]:
    """Return the composed shape of the primary file with overrides.

    Raises:
        Misused: Hydra cannot compose it.
    """
    with _in_use(library):
        try:
            config = hydra.compose(PRIMARY, list(lines))
            shape = OmegaConf.to_container(config, resolve=False)
        except MissingConfigException as error:
            raise _missing(error) from None
        except (HydraException, OmegaConfBaseException, ValueError, AssertionError) as error:
            raise Misused(_first_line(error.__cause__ or error)) from None
        except RecursionError:
            raise Misused("defaults lists include each other in a circle") from None
    return {str(key): value for key, value in shape.items()} if isinstance(shape, dict) else {}


def _missing(error: MissingConfigException) -> Missing:
    options = [str(option) for option in error.options or []]
    return Missing(str(error.missing_cfg_file or "?"), options, _first_line(error))


class Missing(Misused):
    """A configuration that a defaults list or an override chose, and that does not exist."""

    def __init__(self, chosen: str, options: list[str], message: str) -> None:
        near = did_you_mean(chosen.rpartition("/")[2], options)
        hint = near or (f"there: {listed(options, 'and')}" if options else "")
        super().__init__(f"no configuration {shown(chosen)}" if chosen != "?" else message, hint)
        self.chosen = chosen


@contextmanager
def _in_use(library: Library) -> Iterator[None]:
    plugins = Plugins.instance()
    plugins.register(StrictSource)
    plugins.register(StrictSearchPath)
    token = _library.set(library)
    try:
        with hydra.initialize(version_base="1.3", config_path=None, job_name="hsm"):
            yield
    finally:
        _library.reset(token)
