"""Where everything of a sweep is, on disk. Names only; nothing here reads or writes but `Sweeps`."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random

from hsm.core.errors import SweepError
from hsm.wire import names
from hsm.wire.files import Files

ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
_SWEEP_ID = re.compile(rf".+-\d{{8}}-\d{{6}}-[{ID_ALPHABET}]{{4}}")


@dataclass(frozen=True)
class SweepTree:
    """The output tree of one sweep, the same for every source."""

    root: Path

    @property
    def sweep_id(self) -> str:
        """The sweep's id, which is the name of its directory."""
        return self.root.name

    @cached_property
    def config(self) -> Path:
        """The frozen configuration."""
        return self.root / "sweep_config.yaml"

    @cached_property
    def metadata(self) -> Path:
        """What is known of the sweep's origin."""
        return self.root / "sweep_metadata.yaml"

    @cached_property
    def mapping(self) -> Path:
        """One line per task."""
        return self.root / "task_mapping.yaml"

    @cached_property
    def tasks(self) -> Path:
        """One directory per task."""
        return self.root / "tasks"

    @cached_property
    def logs(self) -> Path:
        """Logs of sweep, engine, sources and errors."""
        return self.root / "logs"

    @cached_property
    def scripts(self) -> Path:
        """Exactly what was submitted."""
        return self.root / "scripts"

    @cached_property
    def reports(self) -> Path:
        """HTML reports."""
        return self.root / "reports"

    @cached_property
    def hsm(self) -> Path:
        """The truth: ledger, epochs, plans, attempts."""
        return self.root / ".hsm"

    @cached_property
    def ledger(self) -> Path:
        """The ledger's segments."""
        return self.hsm / "ledger"

    @cached_property
    def epochs(self) -> Path:
        """The claims of the engines."""
        return self.hsm / "epochs"

    @cached_property
    def plans(self) -> Path:
        """Content-addressed generations."""
        return self.hsm / "plan"

    @cached_property
    def work(self) -> Path:
        """Directories of attempts that are not over."""
        return self.hsm / "work"

    @cached_property
    def attempts(self) -> Path:
        """Directories of attempts that did not become a result."""
        return self.hsm / "attempts"

    @cached_property
    def agents(self) -> Path:
        """Logs between manager and agents, by source."""
        return self.hsm / "agents"

    @cached_property
    def bundle(self) -> Path:
        """What the project was when the sweep began, file by file."""
        return self.hsm / "bundle.json"

    @cached_property
    def bundle_files(self) -> Path:
        """A copy of those files, by SHA-256."""
        return self.hsm / "bundle.zip"

    @cached_property
    def summary(self) -> Path:
        """The tracker's state at a stamped place of the ledger."""
        return self.hsm / "summary.json"

    @cached_property
    def seal(self) -> Path:
        """What the sweep's results were when it was over: the root of their tree, and the ledger's head."""
        return self.root / "SEAL.json"

    @cached_property
    def snapshots(self) -> Path:
        """The states that a sweep is taken up again from."""
        return self.hsm / "snap"

    @cached_property
    def archive(self) -> Path:
        """Segments of the ledger that are only needed to look back."""
        return self.hsm / "archive"

    @cached_property
    def analyses(self) -> Path:
        """The sweeps of analyses, by the names of these."""
        return self.hsm / "analyses"

    def analysis(self, name: str) -> SweepTree:
        """Return the tree of the sweep that analyses the results of this one."""
        return SweepTree(self.analyses / name)

    @property
    def analysed(self) -> SweepTree | None:
        """The tree of the sweep whose results this one analyses, None where it is no analysis."""
        hsm = self.root.parent.parent
        is_inner = self.root.parent.name == "analyses" and hsm.name == ".hsm"
        return SweepTree(hsm.parent) if is_inner else None

    @cached_property
    def reserve(self) -> Path:
        """Room that is given up when the disk is full, so that a wish can still be recorded."""
        return self.hsm / "reserve"

    @cached_property
    def format(self) -> Path:
        """What version of the format this is. Written first, never again."""
        return self.hsm / "FORMAT"

    def task(self, index: int) -> Path:
        """A task's directory: a link to its work directory until it is sealed."""
        return self.tasks / names.task_id(index)

    def attempt_name(self, index: int, number: int, token: str) -> str:
        """An attempt's work directory, relative to the sweep."""
        return f".hsm/work/{names.attempt_dir(index, number, token)}"

    def directories(self) -> tuple[Path, ...]:
        """Every directory that a new sweep has."""
        return (
            self.tasks,
            self.logs / "sources",
            self.logs / "errors",
            self.scripts / "job_scripts",
            self.scripts / "setup_scripts",
            self.reports,
            self.ledger,
            self.epochs,
            self.plans,
            self.work,
            self.attempts,
            self.agents,
        )


def new_sweep_id(name: str, at: float, rng: Random) -> str:
    """Return `<name>-<yyyymmdd>-<hhmmss>-<4 random>`, in UTC."""
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y%m%d-%H%M%S")
    return f"{name}-{stamp}-{''.join(rng.choice(ID_ALPHABET) for _ in range(4))}"


@dataclass(frozen=True, slots=True)
class Sweeps:
    """The directory that holds all sweeps of a project."""

    outputs: Path
    files: Files

    def all(self) -> list[SweepTree]:
        """Return every sweep, the newest last."""
        trees = [SweepTree(path) for path in self._paths()]
        return sorted((tree for tree in trees if self.files.is_file(str(tree.format))), key=self._age)

    def closed(self) -> list[str]:
        """Return the names of those that this user may not look into, as far as names can tell."""
        return sorted(
            path.name for path in self._paths() if _SWEEP_ID.fullmatch(path.name) and self._is_closed(path)
        )

    def _paths(self) -> list[Path]:
        outputs = str(self.outputs)
        there = self.files.is_directory(outputs)
        return [self.outputs / name for name in self.files.list(outputs)] if there else []

    def _is_closed(self, root: Path) -> bool:
        inner = SweepTree(root).hsm
        if not self.files.is_executable(str(root)):
            return True
        return self.files.is_directory(str(inner)) and not self.files.is_executable(str(inner))

    def _age(self, tree: SweepTree) -> tuple[list[str], int]:
        """Order sweeps by the second in their ids, then by when their FORMAT was written."""
        return tree.sweep_id.split("-")[-3:-1], self.files.modified_ns(str(tree.format))

    def find(self, reference: str) -> SweepTree:
        """Return the sweep meant by a path, an id, the beginning of one, or `last`.

        Raises:
            SweepError: none is meant, or more than one.
        """
        if reference and self.files.is_file(str(SweepTree(Path(reference)).format)):
            return SweepTree(Path(self.files.resolve(reference)))
        found = self.all()
        if reference in ("last", "@") and found:
            return found[-1]
        matches = [tree for tree in found if tree.sweep_id == reference]
        matches = matches or [tree for tree in found if reference and tree.sweep_id.startswith(reference)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            names_ = ", ".join(tree.sweep_id for tree in matches[-5:])
            raise SweepError(
                f"{reference!r} begins {len(matches)} sweeps: {names_}", hint="give more of the id"
            )
        raise self._missing(reference, [tree.sweep_id for tree in found])

    def _missing(self, reference: str, ids: list[str]) -> SweepError:
        """Return the error that says that no sweep is meant, and which one may have been."""
        closed = [name for name in self.closed() if reference and name.startswith(reference)]
        if closed:
            return SweepError(f"this user may not read {self.outputs / closed[-1]}", hint="ask its owner")
        if not ids:
            hint = "start one: `hsm sweep run FILE --source local`"
            return SweepError(f"there is no sweep in {self.outputs}", hint=hint)
        near = difflib.get_close_matches(reference, [*ids, *(name[: len(reference)] for name in ids)], n=1)
        meant = next((name for name in reversed(ids) if near and name.startswith(near[0])), "")
        hint = f"did you mean {meant}?" if meant else "`hsm sweep list` shows the sweeps"
        return SweepError(f"there is no sweep {reference[:100]!r} in {self.outputs}", hint=hint)
