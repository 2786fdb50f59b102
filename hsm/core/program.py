"""Which program it is: a digest of the command template and of the project files that it pins."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import LEAVE_OUT, ProgramSpec
from hsm.core.survey import LeftOut, Survey
from hsm.core.world import World
from hsm.wire.bundle import Item, ItemKind, digest_of, encode_listing, folders_of
from hsm.wire.files import Files
from hsm.wire.hashing import digest

MAX_NAMED = 20
"""So many of the files that are left out are named in every report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A pinned program: what it starts from, what is left out of that, and git's commit, if any."""

    digest: str
    items: tuple[Item, ...]
    left_out: Mapping[str, LeftOut]
    commit: str | None
    is_dirty: bool

    @property
    def files(self) -> dict[str, str]:
        """What is pinned, by path: SHA-256, or where a link leads."""
        return {item.path: item.content for item in self.items}

    @property
    def listing(self) -> bytes:
        """The listing of its bundle."""
        return encode_listing(self.items)

    @property
    def report(self) -> dict[str, object]:
        """What every provenance report says about the code."""
        return {
            "digest": self.digest,
            "bundle": digest_of(self.listing),
            "commit": self.commit,
            "dirty": self.is_dirty,
            "files": len(self.items),
            "left_out": left_out_words(self.left_out),
        }


def left_out_words(left_out: Mapping[str, LeftOut]) -> list[str]:
    """Return what is left out and why, in words; of many the first, and how many more."""
    words = [f"{ascii(path)[1:-1]}: {why.value}" for path, why in sorted(left_out.items())]
    rest = len(words) - MAX_NAMED
    return [*words[:MAX_NAMED], f"and {rest} more"] if rest > 0 else words


def pin(world: World, spec: ProgramSpec, project: Path) -> Program:
    """Return the program as it is now. Blocks.

    Pinned are the files that git tracks, those that `spec.files` lists beside, and those that the command
    names; less what a pattern of `spec.files` takes out that begins with a dash. Modes are in the digest of
    the bundle, not in that of the program.

    Raises:
        ConfigError: a listed pattern matches nothing.
    """
    git = git_state(world, project)
    listed, left = _listed(world.files, spec.files, project)
    tracked = _tracked(world, project) if git else []
    named = _named(world.files, spec.command, project)
    paths = [path for path in (*tracked, *listed, *named) if left.isdisjoint((path, *folders_of(path)))]
    survey = Survey(world.files, str(project))
    items = survey.look(paths)
    contents = {item.path: _identity(item) for item in items}
    content = json.dumps([list(spec.command), spec.shell, spec.arguments, contents], sort_keys=True)
    return Program(
        digest=digest("hsm.program.v1", content.encode()),
        items=tuple(items),
        left_out=survey.left_out,
        commit=git.commit if git else None,
        is_dirty=bool(git and git.is_dirty),
    )


def _identity(item: Item) -> str:
    return f"-> {item.content}" if item.kind is ItemKind.LINK else item.content


@dataclass(frozen=True, slots=True)
class GitState:
    """The commit that a project is at, and whether tracked files differ from it."""

    commit: str
    is_dirty: bool


def git_state(world: World, project: Path) -> GitState | None:
    """Return where a project is in git, None outside of git. Blocks."""
    commit = _git(world, project, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git(world, project, "status", "--porcelain", "--untracked-files=no")
    return GitState(commit.strip(), bool(changes))


def _tracked(world: World, project: Path) -> list[str]:
    """Return what git tracks, in submodules that are checked out too."""
    found = _git(world, project, "ls-files", "-z", "--recurse-submodules")
    if found is None:
        found = _git(world, project, "ls-files", "-z") or ""
    return [path for path in found.split("\0") if path]


def _git(world: World, project: Path, *arguments: str) -> str | None:
    try:
        done = world.run(["git", *arguments], cwd=project)
    except (OSError, TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def _listed(files: Files, patterns: Iterable[str], project: Path) -> tuple[list[str], set[str]]:
    """Return the files that patterns add, and the files and directories that patterns take out."""
    found: list[str] = []
    left: set[str] = set()
    problems: list[Problem] = []
    for pattern in patterns:
        inside = pattern.removeprefix(LEAVE_OUT)
        matches = _matches(files, inside, project)
        if inside != pattern:
            left.update(matches)
        else:
            matches = [path for path in matches if files.is_file(f"{project}/{path}")]
            found += matches
        if not matches:
            problems.append(
                Problem(where="program.files", message=f"{pattern!r} matches no file in {project}")
            )
    if problems:
        raise ConfigError(problems, hint="list files that exist, relative to the project")
    return found, left


def _matches(files: Files, pattern: str, project: Path) -> list[str]:
    """Return what is in the project and fits a pattern; one that leads out of it fits nothing."""
    relative = Path(pattern)
    if not relative.parts or relative.is_absolute() or ".." in relative.parts:
        return []
    found = files.glob(str(project), pattern)
    is_dangling = not found and files.exists(f"{project}/{pattern}")  # a link to nothing fits no glob
    return [relative.as_posix()] if is_dangling else found


def _named(files: Files, command: Iterable[str], project: Path) -> list[str]:
    """Return the project files that a command names, whether by `{project}/path` or by a plain path."""
    words = [word.replace("{project}/", "") for text in command for word in text.split()]
    return [
        word
        for word in words
        if "{" not in word and not Path(word).is_absolute() and files.is_file(str(project / word))
    ]
