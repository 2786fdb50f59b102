"""Which file has a name, and how long it is."""

from pathlib import Path

import pytest

from hsm.wire import status


def test_a_file_is_known_by_number_and_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `os.stat` tells them, with the call that leaves times alone and where there is none."""
    path = tmp_path / "log \u00fc"
    path.write_bytes(b"x" * 70_000)
    (tmp_path / "link").symlink_to(path)
    expected = (path.stat().st_ino, 70_000)
    assert status.extent(str(path)) == status.extent(str(tmp_path / "link")) == expected
    monkeypatch.setattr(status, "_STATX", [status._stat])
    assert status.extent(str(path)) == expected


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The same one as of `os.stat`, with its path."""
    with pytest.raises(FileNotFoundError, match="nowhere"):
        status.extent(str(tmp_path / "nowhere"))
