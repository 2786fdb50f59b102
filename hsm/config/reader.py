"""Reading one YAML file strictly: every value with its place, every doubtful thing refused.

Refused: tags, merge keys, duplicate keys, keys that are not text, aliases that multiply, several
documents, deep nesting, byte order marks, control characters, files over the size limit.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hsm.config.scalars import DoubtfulScalar, resolve
from hsm.config.tree import Content, Node, Place, Report
from hsm.config.words import did_you_mean, escaped, key_shown, listed, shown, text_fault
from hsm.core.errors import ConfigError, Problem

OPEN_CALL = re.compile(r"[a-z][\w.]*\s*\([^)]*", re.ASCII)
"""A call that a comma has cut off."""
RETYPE = "type the text anew, without it"
MAX_BYTES = 1 << 20
MAX_DEPTH = 24
TOO_DEEP = f"nested deeper than {MAX_DEPTH}"
MAX_ALIASED = 100_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_MARKS = {b"\xef\xbb\xbf": "UTF-8 with a byte order mark", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
_HINTS = {
    "cannot start any token": "indent with blanks, not tabs, and quote a value that begins with %, @ or `",
    "mapping values are not allowed": "quote a value that holds ': ', or correct the indentation",
    "could not find expected ':'": "a key needs a colon and a blank after it, or a quote is not closed",
    "unexpected end of stream": "a quote is not closed",
    "found undefined tag": "tags are not supported; quote the value",
}
_FLOW_HINT = "close every bracket, and quote a value that begins with '{' or '['"


def read_file(path: Path, *, limit: int = MAX_BYTES) -> tuple[str, Node]:
    """Return the text of a YAML file and its tree.

    Raises:
        ConfigError: it cannot be read, or is not plain, unambiguous YAML.
    """
    text = decode(_bytes(path, limit), str(path))
    return text, parse(text, str(path))


def _bytes(path: Path, limit: int) -> bytes:
    where = escaped(str(path))
    try:
        data = _read(path, limit)
    except IsADirectoryError:
        raise ConfigError(
            [Problem(where=where, message="is a directory, not a file", hint=_inside(path))]
        ) from None
    except FileNotFoundError:
        raise ConfigError([Problem(where=where, message="no such file", hint=_near(path))]) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([Problem(where=where, message=f"cannot be read: {reason}")]) from error
    if len(data) > limit:
        message = f"is larger than {limit} bytes, the limit for a configuration"
        raise ConfigError([Problem(where=where, message=message, hint="is it a data file?")])
    return data


def _read(path: Path, limit: int) -> bytes:
    """Return up to one byte more than the limit; a FIFO or a device is refused, not waited for."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file")
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read(limit + 1)
    finally:
        os.close(descriptor)


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return sorted(item for item in folder.iterdir() if item.suffix in {".yaml", ".yml"})
    except OSError:
        return []


def _inside(folder: Path) -> str:
    names = [escaped(str(folder / item.name)) for item in _yaml_files(folder)[:5]]
    return f"did you mean {listed(names)}?" if names else ""


def _near(path: Path) -> str:
    folders = dict.fromkeys([path.parent, path.parent / "sweeps", path.parent / ".."])
    files = {item.name: str(item) for folder in folders for item in _yaml_files(folder)}
    if path.with_suffix(".yaml").name in files:
        return f"did you mean `{escaped(files[path.with_suffix('.yaml').name])}`?"
    stems = {Path(name).stem: place for name, place in files.items()}
    near = did_you_mean(path.stem, stems)
    if near:
        return f"did you mean `{escaped(stems[near.split('`')[1]])}`?"
    return f"there: {listed(map(escaped, list(files)[:5]), 'and')}" if files else ""


def decode(data: bytes, source: str) -> str:
    """Return the text of a file: UTF-8 without byte order mark and without control characters."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            raise _problem(source, 1, 1, f"the file is {encoding}", "save it as plain UTF-8")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        message = f"the byte 0x{data[error.start]:02x} is not UTF-8"
        raise _problem(source, line, column, message, "save the file as UTF-8") from None
    if match := _FORBIDDEN.search(text):
        line = text.count("\n", 0, match.start()) + 1
        column = match.start() - text.rfind("\n", 0, match.start())
        message = f"the character U+{ord(match.group()):04X} is not allowed"
        raise _problem(
            source, line, column, message, 'write it as an escape in double quotes, such as "\\x1b"'
        )
    return text


def _problem(source: str, line: int, column: int, message: str, hint: str = "") -> ConfigError:
    return ConfigError([Problem(where=f"{escaped(source)}:{line}:{column}", message=message, hint=hint)])


def parse(text: str, source: str) -> Node:
    """Return the tree of a YAML text. An empty text is an empty map.

    Raises:
        ConfigError: all that is wrong with it, or its first error of syntax.
    """
    try:
        return _Builder(yaml.parse(text, Loader=_LOADER), escaped(source)).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        if "maximum nesting depth" in str(error.problem):  # newer parsers have a limit of their own
            raise _problem(source, line, column, TOO_DEEP) from None
        raise _problem(source, line, column, f"not YAML: {_words(error)}", _syntax_hint(error)) from None


def _words(error: yaml.MarkedYAMLError) -> str:
    context = f"{error.context}: " if error.context else ""
    return escaped(f"{context}{error.problem}")


def _syntax_hint(error: yaml.MarkedYAMLError) -> str:
    said = str(error.problem)
    for part, hint in _HINTS.items():
        if part in said:
            return hint
    return _FLOW_HINT if "expected" in said else ""


class _Builder:
    """Builds the tree of one document from parser events, noting problems as it goes."""

    def __init__(self, events: Iterator[yaml.Event], source: str) -> None:
        self.events = events
        self.source = source
        self.report = Report()
        self.anchors: dict[str, tuple[Node, int] | None] = {}
        self.count = 0
        self.aliased = 0
        self.open_call: Place | None = None  # where the last value like `range(0` stands

    def document(self) -> Node:
        next(self.events)  # the stream starts
        event = next(self.events)
        if isinstance(event, yaml.StreamEndEvent):
            return Node(Place(self.source, 1, 1), {})
        node = self.node(next(self.events), 0)
        next(self.events)  # the document ends
        event = next(self.events)
        if not isinstance(event, yaml.StreamEndEvent):
            self.report.add(self.place(event), "a second document begins", "one file holds one document")
        self.report.check()
        return Node(node.place, {}) if node.value is None else node

    def place(self, event: yaml.Event) -> Place:
        mark: Any = event.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1)

    def node(self, event: Any, depth: int, key: Place | None = None) -> Node:
        place = self.place(event)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(str(event.anchor), place, key)
        if depth > MAX_DEPTH:
            raise ConfigError([Problem(where=str(place), message=TOO_DEEP)])
        before = self.count
        self.count += 1
        if event.anchor:
            self.anchors[event.anchor] = None
        if event.tag:
            self.report.add(place, f"the tag {shown(event.tag)} is not supported", "quote text that needs it")
        node = self.fresh(event, place, depth, key)
        if event.anchor:
            self.anchors[event.anchor] = (node, self.count - before)
        return node

    def fresh(self, event: Any, place: Place, depth: int, key: Place | None) -> Node:
        if isinstance(event, yaml.ScalarEvent):
            return self.scalar(event, place, key)
        content: Content
        if isinstance(event, yaml.SequenceStartEvent):
            content = self.sequence(depth)
        else:
            content = self.mapping(depth)
        return Node(place, content, key=key)

    def alias(self, anchor: str, place: Place, key: Place | None) -> Node:
        name = key_shown(anchor)
        if anchor not in self.anchors:
            hint = did_you_mean(anchor, self.anchors) or "quote text that begins with *"
            self.report.add(place, f"the alias {name} has no anchor", hint)
            return Node(place, None, key=key)
        target = self.anchors[anchor]
        if target is None:
            self.report.add(place, f"the alias {name} stands inside what it names", "write the value out")
            return Node(place, None, key=key)
        node, size = target
        self.aliased += size
        self.count += size
        if self.aliased > MAX_ALIASED:
            message = f"aliases stand for more than {MAX_ALIASED} values"
            raise ConfigError([Problem(where=str(place), message=message, hint="write the values out")])
        return Node(node.place, node.value, node.text, key)

    def scalar(self, event: yaml.ScalarEvent, place: Place, key: Place | None) -> Node:
        word = event.value
        if event.style:
            fault = text_fault(word)
            if fault:
                self.report.add(place, f"the text {shown(word)} cannot be used: {fault}", RETYPE)
            return Node(place, word, key=key)
        if OPEN_CALL.fullmatch(word):
            self.open_call = place
        try:
            value = resolve(word)
        except DoubtfulScalar as error:
            self.report.add(place, str(error), error.hint)
            return Node(place, word, word, key)
        if isinstance(value, str) and (fault := text_fault(value)):
            self.report.add(place, f"the text {shown(word)} cannot be used: {fault}", RETYPE)
        return Node(place, value, word, key)

    def sequence(self, depth: int) -> tuple[Node, ...]:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self.node(event, depth + 1))
        return tuple(items)

    def mapping(self, depth: int) -> dict[str, Node]:
        items: dict[str, Node] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, place = self.key(event, depth), self.place(event)
            value = self.node(next(self.events), depth + 1, place)
            if key is None:
                continue
            if key in items:
                message = f"the key {key_shown(key)} stands twice, first in line {items[key].key_place.line}"
                self.report.add(place, message, "keep one of them")
            items.setdefault(key, value)
        return items

    def key(self, event: Any, depth: int) -> str | None:
        node = self.node(event, depth + 1)
        if node.text == "<<":
            self.report.add(node.place, "merge keys (`<<`) are not supported", "use a defaults list")
            return None
        if isinstance(node.value, str):
            return node.value
        hint = f"quote it: '{node.text}'" if node.text else "quote a value that begins with '{' or '['"
        if self.open_call is not None and node.place.line == self.open_call.line:
            hint = "quote the call before it: within braces a comma ends a value"
        self.report.add(node.place, f"the key is {node.kind}; expected text", hint)
        return None
