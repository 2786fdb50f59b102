"""Single keys from a terminal while an event loop runs."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import termios
import tty
from collections.abc import Callable, Iterator

ESCAPE_S = 0.05
"""An escape byte that nothing follows for so long is the key, not the beginning of a sequence."""

NAMES = {
    "\r": "enter",
    "\n": "enter",
    "\x7f": "backspace",
    "\x08": "backspace",
    "\t": "tab",
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\x1b[5~": "page-up",
    "\x1b[6~": "page-down",
    "\x1b[H": "home",
    "\x1bOH": "home",
    "\x1b[1~": "home",
    "\x1b[F": "end",
    "\x1bOF": "end",
    "\x1b[4~": "end",
}
_SEQUENCE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z~]|O[A-Za-z])")
_BEGUN = re.compile(r"\x1b(?:\[[0-9;?]*|O)?")


class KeyDecoder:
    """Turns what a terminal sends into names of keys: `q`, `enter`, `esc`, `up`."""

    def __init__(self) -> None:
        self._pending = ""

    def feed(self, text: str) -> Iterator[str]:
        """Yield the keys that are whole."""
        text, self._pending = self._pending + text, ""
        while text:
            if match := _SEQUENCE.match(text):
                if match[0] in NAMES:
                    yield NAMES[match[0]]
                text = text[match.end() :]
            elif _BEGUN.fullmatch(text):
                self._pending = text
                return
            else:
                yield "esc" if text[0] == "\x1b" else NAMES.get(text[0], text[0])
                text = text[1:]

    @property
    def is_waiting(self) -> bool:
        """Whether more may come that belongs to what has come."""
        return bool(self._pending)

    def flush(self) -> Iterator[str]:
        """Yield what was waited for in vain: the escape key."""
        if self._pending:
            self._pending = ""
            yield "esc"


class Keyboard:
    """Calls `press` with the name of each key, while it is started. Needs a running event loop."""

    def __init__(self, press: Callable[[str], None]) -> None:
        self._press = press
        self._decoder = KeyDecoder()
        self._before: list[object] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @staticmethod
    def is_there() -> bool:
        """Tell whether keys can be read at all."""
        return sys.stdin is not None and sys.stdin.isatty()

    def start(self) -> None:
        """Read keys as they are pressed; nothing is echoed."""
        if not self.is_there():
            return
        descriptor = sys.stdin.fileno()
        self._before = termios.tcgetattr(descriptor)
        tty.setcbreak(descriptor)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def stop(self) -> None:
        """Leave the terminal as it was found."""
        if self._before is None:
            return
        descriptor = sys.stdin.fileno()
        asyncio.get_running_loop().remove_reader(descriptor)
        try:
            termios.tcsetattr(descriptor, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]
        except termios.error:
            return  # the terminal is gone
        finally:
            self._before = None

    def _read(self) -> None:
        try:
            data = os.read(sys.stdin.fileno(), 1024)
        except OSError:
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            return
        for key in self._decoder.feed(data.decode("utf-8", "ignore")):
            self._press(key)
        if self._timer is not None:
            self._timer.cancel()
        if self._decoder.is_waiting:
            self._timer = asyncio.get_running_loop().call_later(ESCAPE_S, self._flush)

    def _flush(self) -> None:
        for key in self._decoder.flush():
            self._press(key)
