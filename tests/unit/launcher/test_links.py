"""Hydra's directories are links to results, and never cost anybody a file."""

from pathlib import Path

from hsm.core.tree import SweepTree
from hsm.launcher.links import link_results


def _tree(root: Path) -> SweepTree:
    tree = SweepTree(root / "sweeps" / "one")
    for index in (1, 2, 3):
        (tree.task(index) / "results").mkdir(parents=True)
        (tree.task(index) / "results" / "log").write_text(str(index))
    return tree


def test_each_directory_leads_to_its_task(tmp_path: Path) -> None:
    """Also where one is deeper than the other, and where an earlier multirun's link or nothing stands."""
    tree = _tree(tmp_path)
    places = [tmp_path / "multi" / "0", tmp_path / "multi" / "deep" / "1", tmp_path / "2"]
    (tmp_path / "multi" / "0").mkdir(parents=True)
    (tmp_path / "2").symlink_to(tree.task(1))
    assert list(link_results(tree, places)) == []
    assert [(place / "log").read_text() for place in places] == ["1", "2", "3"]
    assert not Path(places[0].readlink()).is_absolute()


def test_files_that_are_there_stay(tmp_path: Path) -> None:
    """A directory with files in it is somebody's; where the results are is told."""
    tree = _tree(tmp_path)
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "kept").touch()
    (problem,) = link_results(tree, [tmp_path / "0"])
    assert str(tree.task(1) / "results") in problem
    assert (tmp_path / "0" / "kept").exists()


def test_jobs_that_share_a_directory_do_not_mix(tmp_path: Path) -> None:
    """The first one has the link; another one's results are not written into the first one's."""
    tree = _tree(tmp_path)
    problems = list(link_results(tree, [tmp_path / "a", tmp_path / "a", tmp_path / "a" / "b"]))
    assert len(problems) == 2
    assert (tmp_path / "a" / "log").read_text() == "1"
    assert [path.name for path in (tree.task(1) / "results").iterdir()] == ["log"]
