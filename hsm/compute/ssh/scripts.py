"""Scripts for hosts, as text: how one is handed to whatever login shell there is, what the first one asks."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import NamedTuple

OLDEST_PYTHON = (3, 9)
USUAL_PYTHONS = ("python3", *(f"python3.{minor}" for minor in range(14, OLDEST_PYTHON[1] - 1, -1)))
_SAFE = frozenset(map(chr, range(32, 127))) - frozenset("'\\!")


def command_of(script: str) -> str:
    r"""Return a command line for the login shell, whichever it is, that runs a script in `sh`.

    Between the single quotes stands nothing that a Bourne shell, a C shell and fish do not all leave alone:
    quotes, backslashes, `!` and line ends are written `\0ooo`, which `printf %b` undoes.
    """
    return f"exec /bin/sh -c 'eval \"$(printf %b \"$0\")\"' '{_escaped(script)}'"


def _escaped(script: str) -> str:
    return "".join(
        sign if sign in _SAFE else "".join(f"\\0{byte:03o}" for byte in sign.encode()) for sign in script
    )


def in_login_shell(script: str) -> str:
    """Return a script that runs another in a login shell: bash where there is one, else sh."""
    text = shlex.quote(script)
    return f"if command -v bash >/dev/null 2>&1; then exec bash -lc {text}; else exec sh -lc {text}; fi"


class Sentinels(NamedTuple):
    """The lines between which a script's output stands; the word is made up anew each time."""

    begin: bytes
    end: bytes

    @classmethod
    def of(cls, word: str) -> Sentinels:
        """Return the sentinels with this word."""
        return cls(f"\n@@hsm-begin {word}\n".encode(), f"\n@@hsm-end {word} ".encode())


def between_sentinels(script: str, word: str) -> str:
    """Return a script that runs another in a subshell, a sentinel before and its exit status after it."""
    return (
        f"printf '\\n@@hsm-begin {word}\\n'; printf '\\n@@hsm-begin {word}\\n' >&2\n"
        f"(\n{script}\n)\n"
        f"printf '\\n@@hsm-end {word} %d\\n' \"$?\"\n"
    )


class Answer(NamedTuple):
    """What stands between the sentinels, and what stands around them."""

    code: int
    stdout: bytes
    stderr: bytes
    noise: bytes


def read_answer(stdout: bytes, stderr: bytes, word: str) -> Answer | None:
    """Return what a script said; None when it did not come to its end."""
    sentinels = Sentinels.of(word)
    before, begun, rest = stdout.partition(sentinels.begin)
    said, ended, after = rest.rpartition(sentinels.end)
    code, line_end, after = after.partition(b"\n")
    if not (begun and ended and line_end and code.isdigit() and len(code) <= 3):
        return None
    noise, marked, errors = stderr.partition(sentinels.begin)
    if not marked:
        noise, errors = b"", stderr
    return Answer(int(code), said, errors, before + after + noise)


def has_begun(stdout: bytes, word: str) -> bool:
    """Tell whether a script was begun."""
    return Sentinels.of(word).begin in stdout


# The first script

_VERSION = (
    'import sys; print("version %d.%d.%d" % sys.version_info[:3]); print("executable " + sys.executable); '
    f"sys.exit(sys.version_info < {OLDEST_PYTHON})"
)


def survey(root: str, pythons: Sequence[str], program: str) -> str:
    """Return the script that makes HSM's directory on a host and looks for an interpreter.

    Args:
        root: where the directory is to be; `~/` at its beginning means the user's home.
        pythons: interpreters to try in this order, each a name or a path.
        program: the path, below the root, of a file that may be there.
    """
    return f"""umask 077
case "$HOME" in /*) ;; *) echo "fault HOME is not set"; exit 0;; esac
root={_word(root)}
if ! why=$(mkdir -p -- "$root" 2>&1) || ! [ -w "$root" ]; then
  printf 'fault %s cannot be written: %s\\n' "$root" "${{why:-it is not ours}}"; exit 0
fi
printf 'root %s\\n' "$root"
if [ -f "$root"/{shlex.quote(program)} ]; then echo program; fi
for name in {" ".join(map(_word, pythons))}; do
  found=$(command -v "$name" 2>/dev/null) || continue
  printf 'tried %s\\n' "$found"
  if "$found" -c {shlex.quote(_VERSION)} 2>/dev/null </dev/null; then break; fi
done
"""


def _word(name: str) -> str:
    return f'"$HOME"/{shlex.quote(name[2:])}' if name.startswith("~/") else shlex.quote(name)


class Surveyed(NamedTuple):
    """What the first script found: `found` tells of the interpreters that are of no use."""

    root: str = ""
    python: str = ""
    version: str = ""
    has_program: bool = False
    found: tuple[str, ...] = ()
    fault: str = ""


def read_survey(stdout: bytes) -> Surveyed:
    """Return what the first script said.

    Raises:
        ValueError: it said something else.
    """
    found = dict[str, str]()
    tried = list[list[str]]()
    for line in stdout.decode("utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind in ("root", "fault", "program"):
            found[kind] = rest
        elif kind == "tried":
            tried.append([rest])
        elif kind in ("version", "executable") and tried:
            tried[-1].append(rest)
        else:
            raise ValueError(f"a line that is none of the script's: {line[:80]!r}")
    root, fault = found.get("root", ""), found.get("fault", "")
    if not fault and not root.startswith("/"):
        raise ValueError(f"a directory that is none: {root[:80]!r}")
    python = version = ""
    if tried and is_recent(tried[-1]):
        where, version, executable = tried.pop()
        python = executable or where
    useless = tuple(map(_useless, tried))
    return Surveyed(root, python, version, "program" in found, useless, fault)


def _useless(tried: Sequence[str]) -> str:
    return f"{tried[0]} is {tried[1]}" if len(tried) > 1 else f"{tried[0]} does not start"


def is_recent(tried: Sequence[str]) -> bool:
    """Tell whether an interpreter that was tried said that it can run the agent."""
    parts = tried[1].split(".") if len(tried) == 3 else []
    return (
        len(parts) == 3
        and all(part.isdecimal() and len(part) < 6 for part in parts)
        and (int(parts[0]), int(parts[1])) >= OLDEST_PYTHON
    )
