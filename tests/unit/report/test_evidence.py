"""Reading log tails and pictures: only regular files inside the sweep, and never too much of them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hsm.report.evidence import list_pictures, read_picture, read_tail
from tests.unit.report.sweeps import png


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "sweep"
    inside.mkdir()
    return inside


def tail(root: Path, name: str = "log") -> tuple[str, ...]:
    found = read_tail(root, root / name, last_bytes=64, last_lines=3)
    return found.lines if found else ()


def picture(root: Path, name: str = "a.png") -> object:
    return read_picture(root, root / name, most_bytes=4_096, most_pixels=10_000)


def test_a_tail_is_the_end_of_a_log(root: Path) -> None:
    """The last lines are kept, and the size of the whole log is known."""
    (root / "log").write_text("".join(f"line {i}\n" for i in range(1_000)))
    found = read_tail(root, root / "log", last_bytes=64, last_lines=3)
    assert found is not None
    assert found.lines == ("line 997", "line 998", "line 999")
    assert found.size_bytes == (root / "log").stat().st_size


def test_a_cut_line_is_marked(root: Path) -> None:
    """A line whose beginning was not read begins with an ellipsis."""
    (root / "log").write_text("x" * 1_000 + "end")
    assert tail(root) == ("…" + "x" * 61 + "end",)


def test_a_huge_log_is_not_read_whole(root: Path) -> None:
    """A sparse log of 1 TB costs its last bytes."""
    with (root / "log").open("wb") as file:
        file.truncate(1 << 40)
        file.seek(0, os.SEEK_END)
        file.write(b"\nthe end\n")
    assert tail(root)[-1] == "the end"


def test_bytes_that_are_no_text_are_written_out(root: Path) -> None:
    """Invalid UTF-8 is shown as escapes, and each redrawing of a progress bar as a line."""
    (root / "log").write_bytes(b"\xff\xfe\n 10 %\r 20 %\r\nend\n")
    assert tail(root) == (" 10 %\\r", " 20 %", "end")
    (root / "log").write_bytes(b"\xff\n")
    assert tail(root) == ("\\xff",)


def test_what_is_no_regular_file_inside_is_left_alone(root: Path) -> None:
    """Absent and empty files, directories, pipes, loops and links to the outside give nothing."""
    outside = root.parent / "secret"
    outside.write_text("outside")
    (root / "empty").write_text("\n")
    (root / "directory").mkdir()
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to("loop")
    (root / "escape").symlink_to(outside)
    (root / "up").symlink_to(root.parent)
    names = ("absent", "empty", "directory", "pipe", "loop", "escape", "up/secret", "../secret", "nul\0")
    assert [tail(root, name) for name in names] == [()] * len(names)


def test_links_within_the_sweep_are_followed(root: Path) -> None:
    """A task's directory may be a link to its attempt's directory."""
    (root / ".hsm").mkdir()
    (root / ".hsm" / "log").write_text("inside\n")
    (root / "task").symlink_to(".hsm")
    assert tail(root, "task/log") == ("inside",)


def test_a_sweep_reached_through_a_link_is_read(root: Path) -> None:
    """The sweep's own directory may be a link."""
    (root / "log").write_text("inside\n")
    other = root.parent / "other"
    other.symlink_to(root)
    assert tail(other) == ("inside",)


def test_a_picture_is_a_png_of_reasonable_size(root: Path) -> None:
    """Size is read from the header; what is not PNG, cut, huge or a bomb is no picture."""
    (root / "a.png").write_bytes(png(width=7, height=5))
    found = read_picture(root, root / "a.png", most_bytes=4_096, most_pixels=10_000)
    assert found is not None
    assert (found.width, found.height, found.path) == (7, 5, "a.png")
    bad = {
        "html.png": b"<script>alert(1)</script>" * 9,
        "cut.png": png()[:20],
        "large.png": png() + b"\0" * 5_000,
        "behind.png": b"x" + png().ljust(4_096, b"\0"),
        "bomb.png": png()[:16] + b"\0\1\0\0" * 2 + png()[24:],
        "flat.png": png()[:16] + b"\0" * 8 + png()[24:],
    }
    for name, data in bad.items():
        (root / name).write_bytes(data)
        assert picture(root, name) is None


def test_pictures_are_listed_by_name_inside_the_sweep_only(root: Path) -> None:
    """A results directory that is a link to the outside has no pictures."""
    results = root / "results"
    results.mkdir()
    for name in ("b.png", "a.png", "c.txt"):
        (results / name).write_bytes(png())
    outside = root.parent / "pictures"
    outside.mkdir()
    (outside / "x.png").write_bytes(png())
    (root / "link").symlink_to(outside)
    assert [path.name for path in list_pictures(root, "results")] == ["a.png", "b.png"]
    assert list_pictures(root, "link") == list_pictures(root, "absent") == []


def test_pictures_of_a_page_are_compact_and_keep_their_size(tmp_path: Path) -> None:
    """A smooth picture takes a fraction of its PNG file, a wide one is no wider than a page shows it."""
    x = np.linspace(0, 9, 1280)
    shade = (127 * (1 + np.sin(x)[None] * np.cos(x)[:, None]) + np.arange(1280) % 2).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 9, (1280, 1280), np.uint8)
    Image.fromarray(shade // 2 + noise).convert("RGB").save(tmp_path / "wide.png")
    found = read_picture(tmp_path, tmp_path / "wide.png", most_bytes=1 << 23, most_pixels=1 << 22)
    assert found is not None
    assert (found.kind, found.width, found.height) == ("webp", 640, 640)
    assert len(found.data) < (tmp_path / "wide.png").stat().st_size / 10
    with Image.open(io.BytesIO(found.data)) as shown:
        assert (shown.format, shown.size) == ("WEBP", (640, 640))


def test_picture_that_cannot_be_decoded_stays_what_it_is(tmp_path: Path) -> None:
    """Its header is sound and the rest is not: the page holds the bytes of the file."""
    broken = tmp_path / "broken.png"
    Image.new("RGB", (64, 64)).save(broken)
    broken.write_bytes(broken.read_bytes()[:40] + bytes(20_000))
    found = read_picture(tmp_path, broken, most_bytes=1 << 20, most_pixels=1 << 20)
    assert found is not None
    assert (found.kind, found.data) == ("png", broken.read_bytes())
