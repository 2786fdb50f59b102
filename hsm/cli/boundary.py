"""Errors in words: one shape for all of them.

error: what went wrong
caused by: why, one line for each link of the chain

hint: what to do about it
"""

from __future__ import annotations

import errno
import os
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from hsm._version import __version__
from hsm.cli.console import Console, Tone
from hsm.cli.lazy import UnknownCommand
from hsm.core.errors import ConfigError, ExitCode, HsmError, Problem

_DRAFT = re.compile(r"\.?(.+?)(?:\.\d+)?\.part")
_AT_LEAST = re.compile(r"not in the range x>=(\d+)")
_MAY_NOT = "this user may not do that there: `ls -ld PATH` tells who may"
_FIXES: Mapping[int, str] = {
    errno.EACCES: _MAY_NOT,
    errno.EPERM: _MAY_NOT,
    errno.EROFS: "the file system is read-only: name another place",
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space, or ask for a larger quota",
    errno.EMFILE: "raise the limit on open files: `ulimit -n 4096`",
}

JSON_FLAG = "--json"
MAX_PROBLEMS = 100


def wants_json(words: Sequence[str]) -> bool:
    """Tell whether a command line asks for JSON, also one that cannot be parsed."""
    options = words[: words.index("--")] if "--" in words else words
    return JSON_FLAG in options


def expected(console: Console, error: HsmError) -> ExitCode:
    """Show an error that HSM knows."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    if console.as_json:
        envelope: dict[str, Any] = {
            "code": error.code,
            "message": error.message,
            "hint": error.hint,
            "transient": error.transient,
        }
        if problems:
            envelope["problems"] = [
                {"where": problem.where, "message": problem.message, "hint": problem.hint}
                for problem in problems
            ]
        console.error_envelope(envelope)
    _show(console, error.message, error.hint, causes=_causes(error), problems=problems)
    return error.exit_code


def usage(console: Console, error: click.ClickException) -> ExitCode:
    """Show what is wrong with the command line; the help, where nothing was asked for."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        for row in error.format_message().splitlines():
            console.insist(row)
        return ExitCode.USAGE
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    path = ctx.command_path if ctx else "hsm"
    message = _sentence(error.format_message())
    hint = (isinstance(error, UnknownCommand) and error.hint) or f"`{path} --help` shows how it is used"
    if console.as_json:
        console.error_envelope({"code": "usage", "message": message, "hint": hint, "transient": False})
    _show(console, message, hint)
    return ExitCode.USAGE


def machine(console: Console, error: OSError) -> ExitCode:
    """Show that the operating system refused something."""
    message, hint = refusal(error)
    if console.as_json:
        console.error_envelope({"code": "os", "message": message, "hint": hint, "transient": False})
    _show(console, message, hint)
    return ExitCode.INFRASTRUCTURE


def refusal(error: OSError) -> tuple[str, str]:
    """Return what the operating system refused, and what can be done about it.

    Files are written beside their place first; the user knows them by their own names.
    """
    reason = error.strerror or str(error)
    if not isinstance(error.filename, (str, os.PathLike)):
        return reason, _FIXES.get(error.errno or 0, "")
    path = Path(error.filename)
    if draft := _DRAFT.fullmatch(path.name):
        path = path.with_name(draft[1])
    if error.errno == errno.ENOENT and not path.parent.exists():
        return f"{path}: {reason}", f"make its folder first: `mkdir -p {shlex.quote(str(path.parent))}`"
    fix = _FIXES.get(error.errno or 0, "").replace("PATH", shlex.quote(str(path.parent)))
    return f"{path}: {reason}", fix


def interrupted(console: Console) -> ExitCode:
    """Say that the user has left."""
    console.insist("interrupted")
    return ExitCode.INTERRUPTED


def pipe_closed() -> ExitCode:
    """Go quietly: whoever read our output has left."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
    return ExitCode.FINE


def unforeseen(
    console: Console, error: BaseException, words: Sequence[str], environment: Mapping[str, str]
) -> ExitCode:
    """Show an error that nobody foresaw; Ctrl-C in the middle of an import comes wrapped in one."""
    if isinstance(error.__cause__, KeyboardInterrupt):
        return interrupted(console)
    defect(console, error, words, environment)
    return ExitCode.INFRASTRUCTURE


def defect(
    console: Console, error: BaseException, words: Sequence[str], environment: Mapping[str, str]
) -> None:
    """Show that HSM itself is at fault, and keep the traceback in a file."""
    story = "".join(traceback.format_exception(error))
    path = _saved(story, words)
    message = f"HSM has a defect: {type(error).__name__}: {error}"
    hint = f"please report it with {path}; nothing that was acknowledged is lost" if path else ""
    if console.as_json:
        console.error_envelope({"code": "defect", "message": message, "hint": hint, "transient": False})
    if environment.get("HSM_TRACEBACK"):
        for row in story.splitlines():
            console.insist(row)
    _show(console, message, hint)


def _saved(story: str, words: Sequence[str]) -> str:
    try:
        descriptor, path = tempfile.mkstemp(prefix="hsm-traceback-", suffix=".txt")
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"hsm {__version__}, Python {sys.version.split()[0]}, {sys.platform}\n")
            file.write(f"arguments: {list(words)!r}\n\n{story}")
    except OSError:
        return ""
    return path


def _show(
    console: Console,
    message: str,
    hint: str,
    *,
    causes: Sequence[str] = (),
    problems: Sequence[Problem] = (),
) -> None:
    console.insist(("error: ", Tone.BAD), (message, Tone.STRONG))
    if len(problems) > 1:
        _list(console, problems)
    for cause in causes:
        console.insist(("caused by: ", Tone.DIM), cause)
    if hint:
        console.insist()
        console.insist(("hint: ", Tone.ACTIVE), hint)


def _list(console: Console, problems: Sequence[Problem]) -> None:
    for problem in problems[:MAX_PROBLEMS]:
        console.insist()
        console.insist("  ", str(problem))
        if problem.hint:
            console.insist("    ", ("hint: ", Tone.ACTIVE), problem.hint)
    if len(problems) > MAX_PROBLEMS:
        console.insist()
        console.insist(f"  and {len(problems) - MAX_PROBLEMS} more")


def _causes(error: BaseException) -> list[str]:
    """Return what lies beneath an error, without what it says itself."""
    return [text for text in _chain(error) if text and text not in str(error)]


def _chain(error: BaseException) -> Iterator[str]:
    cause = error.__cause__
    while cause is not None:
        yield _words(cause)
        cause = cause.__cause__


def _words(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return refusal(error)[0]
    text = str(error) or type(error).__name__
    return text.splitlines()[0]


def _sentence(text: str) -> str:
    """Return a message of click as ours: no capital at the beginning, no stop at the end."""
    short = _AT_LEAST.sub(r"less than \1", text.strip().rstrip("."))
    return short[:1].lower() + short[1:]
