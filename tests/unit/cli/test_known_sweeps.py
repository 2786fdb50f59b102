"""The register of a user's sweeps: written when they are run, never in the way, never believed blindly."""

from pathlib import Path

from hsm.cli.known_sweeps import FORGET_S, KnownSweeps
from hsm.core.tree import SweepTree
from hsm.core.world import World


class Clock(World):
    """A world at a given time."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = at

    def now(self) -> float:
        """Return that time."""
        return self.at


def _sweep(folder: Path) -> SweepTree:
    (folder / ".hsm").mkdir(parents=True)
    (folder / ".hsm" / "FORMAT").write_text("{}")
    return SweepTree(folder)


def test_what_is_run_is_known_once_the_latest_last(tmp_path: Path) -> None:
    """A sweep that is run again moves to the end, and has one entry."""
    known = KnownSweeps(tmp_path / "state")
    first, second = _sweep(tmp_path / "a"), _sweep(tmp_path / "b")
    for at, tree in enumerate((first, second, first), 1):
        known.note(Clock(at), tree)
    assert [(entry.root, entry.at) for entry in known.all(4)] == [(second.root, 2), (first.root, 3)]
    assert all(entry.is_there for entry in known.all(4 + FORGET_S))
    assert len(known.all(4 + FORGET_S)) == 2


def test_a_sweep_that_is_gone_is_shown_for_a_while_and_then_forgotten(tmp_path: Path) -> None:
    """A disk may only be away for a time, so the entry stays until it is old."""
    known = KnownSweeps(tmp_path / "state")
    known.note(Clock(5), SweepTree(tmp_path / "gone"))
    (entry,) = known.all(6)
    assert not entry.is_there
    assert known.all(5 + FORGET_S) == []
    assert list((tmp_path / "state").iterdir()) == []


def test_a_register_that_cannot_be_written_or_read_is_no_harm(tmp_path: Path) -> None:
    """Damaged entries, strange files, and a path that is no folder: nothing is raised."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    known = KnownSweeps(blocked / "sweeps")
    known.note(Clock(1), _sweep(tmp_path / "a"))
    assert known.all(2) == []
    folder = tmp_path / "state"
    folder.mkdir()
    for number, text in enumerate(("", "{", "[]", '{"root": 3, "at": 1}', '{"root": "/x", "at": "y"}')):
        (folder / f"{number}.json").write_text(text)
    assert KnownSweeps(folder).all(2) == []


def test_it_lies_where_the_user_keeps_state(tmp_path: Path) -> None:
    """XDG_STATE_HOME when it is a whole path, else ~/.local/state."""
    for environment, place in (
        ({"XDG_STATE_HOME": str(tmp_path / "x")}, tmp_path / "x"),
        ({"XDG_STATE_HOME": "relative", "HOME": str(tmp_path)}, tmp_path / ".local" / "state"),
        ({"HOME": str(tmp_path)}, tmp_path / ".local" / "state"),
    ):
        KnownSweeps.of(environment).note(World(), SweepTree(tmp_path / "s"))
        assert len(list((place / "hsm" / "sweeps").iterdir())) == 1


def test_tests_never_write_into_the_users_own_state() -> None:
    """The suite has a state folder of its own."""
    assert "hsm-test-state-" in str(KnownSweeps.of(World().environment())._directory)
