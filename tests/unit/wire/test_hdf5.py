"""HDF5 files: whole ones pass, half ones are told from them by their first bytes, checked against h5py."""

import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from hsm.wire import hdf5, manifest
from hsm.wire.files import Files

LIBVERS = ["earliest", "v108", "v110", "latest"]


def make(libver: str, *, userblock: int = 0) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=(libver, "latest"), userblock_size=userblock) as file:
        file["rho"] = np.arange(2000.0)
        file["deep/er/x"] = np.ones((3, 4))
        file.attrs["dt"] = 0.1
    return buffer.getvalue()


def opens(data: bytes) -> bool:
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            return bool(np.array_equal(file["rho"][()], np.arange(2000.0)))
    except (OSError, KeyError, RuntimeError):
        return False


@pytest.fixture(scope="module", params=LIBVERS)
def whole(request: pytest.FixtureRequest) -> bytes:
    return make(request.param)


def test_a_whole_file_passes(whole: bytes) -> None:
    """Every superblock version that h5py writes."""
    assert hdf5.fault(whole[: hdf5.HEAD_BYTES], len(whole)) is None


def test_the_versions_differ() -> None:
    """The cases above cover old and new superblocks."""
    assert {make(libver)[8] for libver in LIBVERS} >= {0, 2, 3}


def test_every_truncation_is_found(whole: bytes) -> None:
    """From nothing to all but one byte; a file that h5py can still read whole is not called damaged."""
    for length in [*range(97), *range(97, len(whole), 997), len(whole) - 1]:
        fault = hdf5.fault(whole[: min(length, hdf5.HEAD_BYTES)], length)
        assert fault is not None, length
        assert not opens(whole[:length]), length


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not an HDF5 file"),
        (b"hello world", "not an HDF5 file"),
        (bytes(4096), "not an HDF5 file"),
        (hdf5.SIGNATURE, "within its superblock"),
        (hdf5.SIGNATURE + b"\x09" + bytes(95), "version 9 is not known"),
        (hdf5.SIGNATURE + b"\x00" + bytes(10), "within its superblock"),
    ],
)
def test_what_is_no_hdf5_file_is_told(data: bytes, words: str) -> None:
    """Empty, text, zeros, an unknown version, a few bytes: each has its own words."""
    fault = hdf5.fault(data[: hdf5.HEAD_BYTES], len(data))
    assert fault is not None
    assert words in fault


def test_a_file_that_its_writer_never_closed_is_found(tmp_path: Path) -> None:
    """A copy made while the writer is at it, as a killed program leaves it."""
    for libver in LIBVERS:
        path = tmp_path / f"{libver}.h5"
        with h5py.File(path, "w", libver=(libver, "latest")) as file:
            file["rho"] = np.arange(2000.0)
            file.flush()
            data = path.read_bytes()
        if hdf5.fault(data[: hdf5.HEAD_BYTES], len(data)) is None:
            assert data[8] < 3  # older superblocks do not say that they are open
            assert opens(data)  # and after a flush nothing is missing


@pytest.mark.parametrize("userblock", [512, 1024, 4096])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_user_block_before_the_file_is_stepped_over(tmp_path: Path, libver: str, userblock: int) -> None:
    """HDF5 allows a block of the user's own in front; the file behind it is looked at all the same."""
    data = make(libver, userblock=userblock)
    path = tmp_path / "field.h5"
    for length, is_whole in [
        (len(data), True),
        (len(data) - 1, False),
        (userblock + 40, False),
        (userblock, False),
    ]:
        path.write_bytes(data[:length])
        entry = manifest.hash_file(Files(), str(tmp_path), "field.h5")
        assert (manifest.damaged_hdf5(Files(), str(tmp_path), [entry]) == []) == is_whole, length


def test_only_files_named_as_hdf5_are_looked_at(tmp_path: Path) -> None:
    """Both endings count; the sentence names the file."""
    for name in ("a.h5", "b.hdf5", "c.txt"):
        (tmp_path / name).write_bytes(b"not HDF5")
    entries = manifest.build(Files(), str(tmp_path), manifest.find(Files(), str(tmp_path)))
    assert manifest.damaged_hdf5(Files(), str(tmp_path), entries) == [
        "a.h5: it is not an HDF5 file",
        "b.hdf5: it is not an HDF5 file",
    ]
