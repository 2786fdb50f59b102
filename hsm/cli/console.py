"""The console: data to stdout, talk to stderr, colour only where it is wanted. Nothing else prints.

What is said is a `Line`: pieces of text with a meaning. Colour follows from the meaning, control characters
are escaped here, and no text is ever read as markup.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, is_dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TextIO, TypeAlias

from hsm.core.cleaning import clean

VERSION = 1
"""Of the `--json` envelope; it changes only when something that was there is gone."""


class Tone(StrEnum):
    """What a piece of text means; its value is the colour, in the words of rich."""

    PLAIN = ""
    STRONG = "bold"
    DIM = "dim"
    GOOD = "green"
    BAD = "red"
    WARN = "yellow"
    ACTIVE = "cyan"
    NAME = "bold cyan"


_CODES: Mapping[Tone, str] = {
    Tone.STRONG: "1",
    Tone.DIM: "2",
    Tone.GOOD: "32",
    Tone.BAD: "31",
    Tone.WARN: "33",
    Tone.ACTIVE: "36",
    Tone.NAME: "1;36",
}

Span: TypeAlias = "tuple[str, Tone]"
Line: TypeAlias = "Sequence[Span]"


def line(*pieces: str | Span) -> Line:
    """Return a line of pieces; a bare string is plain."""
    return [piece if isinstance(piece, tuple) else (piece, Tone.PLAIN) for piece in pieces]


def text_of(spans: Line) -> str:
    """Return the text of a line without its tones."""
    return "".join(text for text, _ in spans)


@dataclass(frozen=True, slots=True, kw_only=True)
class Glyphs:
    """The signs that stand beside words, never instead of them."""

    full: str = "█"
    empty: str = "░"
    good: str = "✓"
    bad: str = "✗"
    dot: str = "·"
    times: str = "×"
    more: str = "…"
    here: str = "▸"
    levels: str = "▁▂▃▄▅▆▇█"


ASCII = Glyphs(
    full="#", empty=".", good="+", bad="x", dot="-", times="x", more="...", here=">", levels="_.-=+*%#"
)


class ReaderLeft(Exception):
    """Whoever read stdout has closed it: nobody wants more."""


class Console:
    """Two streams and what is known of them. Talk that nobody hears any more stops nothing."""

    def __init__(
        self,
        out: TextIO,
        err: TextIO,
        environment: Mapping[str, str],
        *,
        quiet: bool = False,
        as_json: bool = False,
    ) -> None:
        self.err = err
        self.quiet = quiet
        self.as_json = as_json
        self.above: Callable[[Line], None] | None = None
        """How talk is written while something below it is redrawn in place, which it would tear."""
        self._out = out
        self._environment = environment

    @classmethod
    def standard(cls) -> Console:
        """Return the console of this process."""
        for stream in (sys.stdout, sys.stderr):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure is not None:
                reconfigure(errors="backslashreplace")
        return cls(sys.stdout, sys.stderr, os.environ)

    # Data

    def data(self, *spans: str | Span) -> None:
        """Write a line of data."""
        self.raw(self.painted(line(*spans), self._out) + "\n")

    def styled(self, *spans: str | Span) -> str:
        """Return spans as data shows them."""
        return self.painted(line(*spans), self._out)

    def raw(self, text: str) -> None:
        """Write text to stdout as it is, line ends included.

        Raises:
            ReaderLeft: nobody reads it.
            OSError: it cannot be written.
        """
        try:
            self._out.write(text)
        except BrokenPipeError as error:
            raise ReaderLeft from error
        except OSError as error:
            raise OSError(error.errno, error.strerror, "stdout") from error

    def flush(self) -> None:
        """Hand over what was written.

        Raises:
            ReaderLeft: nobody reads it.
            OSError: it cannot be written.
        """
        try:
            self._out.flush()
        except BrokenPipeError as error:
            raise ReaderLeft from error
        except OSError as error:
            raise OSError(error.errno, error.strerror, "stdout") from error

    def envelope(self, kind: str, data: Any) -> None:
        """Write one JSON object on one line."""
        self._write_json({"hsm": VERSION, "kind": kind, "data": plain(data)})

    def error_envelope(self, error: Mapping[str, Any]) -> None:
        """Write an error as one JSON object on one line, unless stdout itself is at fault."""
        with suppress(OSError, ReaderLeft):
            self._write_json({"hsm": VERSION, "kind": "error", "error": plain(error)})

    def _write_json(self, content: Mapping[str, Any]) -> None:
        self.raw(json.dumps(content, allow_nan=False) + "\n")
        self.flush()

    # Talk

    def say(self, *spans: str | Span) -> None:
        """Write a line of talk, unless the user wants quiet."""
        if not self.quiet:
            self.insist(*spans)

    def insist(self, *spans: str | Span) -> None:
        """Write a line of talk in any case."""
        with suppress(OSError):  # the terminal may be gone
            if self.above is not None:
                self.above(line(*spans))
                return
            self.err.write(self.painted(line(*spans), self.err) + "\n")
            self.err.flush()

    def warn(self, text: str, hint: str = "") -> None:
        """Say that something is not as it should be, although the command goes on."""
        self.insist(("warning: ", Tone.WARN), text)
        if hint:
            self.insist(("hint: ", Tone.ACTIVE), hint)

    # What is known of the streams

    @property
    def is_live(self) -> bool:
        """Whether talk goes to a terminal that can redraw."""
        return self.err.isatty() and self._environment.get("TERM", "") not in ("", "dumb")

    @property
    def is_interactive(self) -> bool:
        """Whether a question can be asked and answered."""
        return self.err.isatty() and sys.stdin.isatty()

    @property
    def is_data_on_terminal(self) -> bool:
        """Whether data goes to a terminal."""
        return self._out.isatty()

    def width(self, stream: TextIO | None = None) -> int:
        """Return how many characters a line has; very many where no terminal limits it."""
        if not (stream or self.err).isatty():
            return 1 << 16
        return shutil.get_terminal_size((80, 24)).columns

    @property
    def data_width(self) -> int:
        """How many characters a line of data may have."""
        return self.width(self._out)

    def glyphs_for(self, stream: TextIO) -> Glyphs:
        """Return the signs that a stream can show."""
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        return Glyphs() if encoding.startswith("utf") else ASCII

    @property
    def glyphs(self) -> Glyphs:
        """The signs for talk."""
        return self.glyphs_for(self.err)

    @property
    def data_glyphs(self) -> Glyphs:
        """The signs for data."""
        return self.glyphs_for(self._out)

    def has_color(self, stream: TextIO) -> bool:
        """Tell whether a stream gets colour: NO_COLOR forbids it, FORCE_COLOR asks for it."""
        if self._environment.get("NO_COLOR"):
            return False
        if self._environment.get("FORCE_COLOR"):
            return True
        return stream.isatty() and self._environment.get("TERM", "") not in ("", "dumb")

    def painted(self, spans: Line, stream: TextIO) -> str:
        """Return a line as a stream shows it, coloured where that is wanted, controls escaped."""
        if not self.has_color(stream):
            return clean(text_of(spans))
        return "".join(
            f"\x1b[{_CODES[tone]}m{clean(text)}\x1b[0m" if tone in _CODES and text else clean(text)
            for text, tone in spans
        )

    def lines(self, block: Iterable[Line]) -> None:
        """Say several lines."""
        for spans in block:
            self.say(*spans)


def plain(value: Any) -> Any:
    """Return what JSON can say of a value: dataclasses as maps, paths as text, NaN and infinities as null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    return str(value) if isinstance(value, (Path, StrEnum)) else value
