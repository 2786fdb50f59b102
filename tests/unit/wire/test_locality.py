"""Whether a name is in a directory, by one look or by listing."""

import os
from pathlib import Path

import pytest

from hsm.wire import locality
from hsm.wire.files import Files


@pytest.mark.parametrize("kinds", [locality.LOCAL, frozenset()])
def test_a_name_is_seen_as_soon_as_it_is_there(
    tmp_path: Path, kinds: frozenset[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On disks of this machine and on others, be it a link that leads nowhere."""
    monkeypatch.setattr(locality, "LOCAL", kinds)
    locality.is_local.cache_clear()
    files, folder = Files(), str(tmp_path)
    assert not files.holds(folder, "a")
    (tmp_path / "a").symlink_to("nowhere")
    assert files.holds(folder, "a")
    (tmp_path / "a").unlink()
    assert not files.holds(folder, "a")
    locality.is_local.cache_clear()


def test_where_others_make_names_too_the_directory_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client of a file server may remember that a name was not there; a listing asks the server."""
    monkeypatch.setattr(locality, "is_local", lambda _: False)
    monkeypatch.setattr(os, "listdir", lambda _: ["made elsewhere"])
    assert Files().holds(str(tmp_path), "made elsewhere")
    assert not Files().holds(str(tmp_path), "made here")


def test_only_a_kind_that_is_known_counts_as_local() -> None:
    """What cannot be asked, and what the kernel makes up, is none."""
    assert locality._kind("/nowhere/at/all") == 0
    assert locality._kind("/proc") not in {0, *locality.LOCAL}
    assert not locality.is_local("/proc")
