"""Which program it is: a digest of the command template and of the project files that it pins."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from subprocess import TimeoutExpired

from hsm.core.errors import ConfigError, Problem
from hsm.core.spec import ProgramSpec
from hsm.core.world import World
from hsm.wire.files import Files
from hsm.wire.hashing import digest, sha256_hex

MAX_FILE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A pinned program. `files` maps paths in the project to SHA-256; `commit` is git's, if any."""

    digest: str
    files: dict[str, str]
    commit: str | None
    is_dirty: bool

    @property
    def report(self) -> dict[str, object]:
        """What every provenance report says about the code."""
        return {
            "digest": self.digest,
            "commit": self.commit,
            "dirty": self.is_dirty,
            "files": len(self.files),
        }


def pin(world: World, spec: ProgramSpec, project: Path) -> Program:
    """Return the program as it is now. Blocks.

    Pinned are the files that `spec.files` lists; without a list, those that git tracks and those that the
    command names.

    Raises:
        ConfigError: a listed pattern matches nothing.
    """
    git = git_state(world, project)
    tracked = _git(world, project, "ls-files", "-z") if git else None
    if spec.files:
        paths = _listed(world.files, spec.files, project)
    elif tracked is not None:
        paths = [*filter(None, tracked.split("\0")), *_named(world.files, spec.command, project)]
    else:
        paths = _named(world.files, spec.command, project)
    files = {
        path: sha
        for path in sorted(set(paths))
        if (sha := _sha256(world.files, f"{project}/{path}")) is not None
    }
    content = json.dumps([list(spec.command), spec.shell, spec.arguments, files], sort_keys=True)
    return Program(
        digest=digest("hsm.program.v1", content.encode()),
        files=files,
        commit=git.commit if git else None,
        is_dirty=bool(git and git.is_dirty),
    )


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


def _git(world: World, project: Path, *arguments: str) -> str | None:
    try:
        done = world.run(["git", *arguments], cwd=project)
    except (OSError, TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None


def _listed(files: Files, patterns: Iterable[str], project: Path) -> list[str]:
    found: list[str] = []
    problems: list[Problem] = []
    for pattern in patterns:
        matches = _matches(files, pattern, project)
        if not matches:
            problems.append(
                Problem(where="program.files", message=f"{pattern!r} matches no file in {project}")
            )
        found += matches
    if problems:
        raise ConfigError(problems, hint="list files that exist, relative to the project")
    return found


def _matches(files: Files, pattern: str, project: Path) -> list[str]:
    """Return the files of the project that a pattern lists; one that leads out of it lists none."""
    relative = Path(pattern)
    if not relative.parts or relative.is_absolute() or ".." in relative.parts:
        return []
    return [path for path in files.glob(str(project), pattern) if files.is_file(f"{project}/{path}")]


def _named(files: Files, command: Iterable[str], project: Path) -> list[str]:
    """Return the project files that a command names, whether by `{project}/path` or by a plain path."""
    words = [word.replace("{project}/", "") for text in command for word in text.split()]
    return [
        word
        for word in words
        if "{" not in word and not Path(word).is_absolute() and files.is_file(str(project / word))
    ]


def _sha256(files: Files, path: str) -> str | None:
    try:
        if not files.is_file(path) or files.length(path) > MAX_FILE_BYTES:
            return None  # tracked by git, but deleted or a directory (submodule)
        return sha256_hex(files.contents(path))
    except OSError:
        return None
