"""Runnable documents: the fenced blocks of a Markdown page as one shell script.

The word `run` after a block's language makes it part of the script:

    ```sh run                     every line is a command
    ```console run                lines that begin with `$ ` are commands (`> ` continues), the rest is output
    ```yaml file=sweeps/heat.yaml the block is written to that file when its turn comes
    ```python run                 Python; all blocks of a page are one program, or the cells of one notebook

All blocks of a page run in order in one shell and one project folder, so `cd` and variables carry over.
Blocks without the word are only shown.
"""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=indent)``` *$", re.DOTALL | re.MULTILINE
)
MAKE = re.compile(r"^\s*make (?P<target>[a-z-]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block that takes part: commands to run, or the content of a file."""

    line: int
    text: str
    file: str | None = None

    @property
    def make_targets(self) -> list[str]:
        """The targets of its `make` lines."""
        matches = (MAKE.match(line) for line in self.text.splitlines())
        return [match["target"] for match in matches if match and self.file is None]

    def script(self) -> str:
        """Return shell text with the same effect, less the `make` lines."""
        if self.file is not None:
            folder = shlex.quote(str(Path(self.file).parent))
            return f"mkdir -p {folder}\nprintf %s {shlex.quote(self.text)} > {shlex.quote(self.file)}\n"
        return "".join(line + "\n" for line in self.text.splitlines() if not MAKE.match(line))


def has_python(markdown: str) -> bool:
    """Tell whether a page has blocks of Python to run; tests/integration/test_python_pages.py runs those."""
    return bool(re.search(r"^```python run$", markdown, re.MULTILINE))


def blocks(markdown: str) -> list[Block]:
    """Find the blocks of a page that take part, in order."""
    found = (_block(match, markdown.count("\n", 0, match.start()) + 1) for match in FENCE.finditer(markdown))
    return [block for block in found if block is not None]


def _block(match: re.Match[str], line: int) -> Block | None:
    language, *words = match["info"].split() or [""]
    indent = len(match["indent"])
    text = "".join(piece[indent:] for piece in match["body"].splitlines(keepends=True))
    for word in words:
        if word.startswith("file="):
            return Block(line=line, text=text, file=word.removeprefix("file="))
    if "run" not in words:
        return None
    return Block(line=line, text=_commands(text) if language == "console" else text)


def _commands(text: str) -> str:
    return "".join(line[2:] + "\n" for line in text.splitlines() if line.startswith(("$ ", "> ")))


def script(page: list[Block], progress: Path) -> str:
    """Join blocks to one script that stops at the first failure and notes each block it begins, by line."""
    pieces = [f"printf '%s' {block.line} > {shlex.quote(str(progress))}\n{block.script()}" for block in page]
    return "set -eu\n" + "\n".join(pieces)
