"""results/rho_history.h5: the density over time, the final field and the time series of one attempt.

    /rho          (frames, N, …) float32, one frame per chunk, not compressed (turbulence does not shrink)
    /t            (frames,)      float64, time of each frame
    /series/*     (frames,)      the columns of `record.Record`, NaN where there is no value
    /psi_final    (N, …)         complex64 or complex128, the last good field; attribute t
    /omega_final  (N, …)         float32 or float64, Ω of its metric g = Ω²δ; in curved space only
    /balance/*    (rows,)        t, mass and its rate by the equation, over the last steps (`balance`)
    /identity                    attributes: what was run (see `run.identity`)
    attributes                   schema, status, reason

The file grows under the name `rho_history.h5.part` in HDF5's single-writer, multiple-readers mode: open it
with `h5py.File(path, swmr=True)` while the run goes on. It gets its final name when it is closed and synced.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from hsm.physics.artifacts import part_of, publish
from hsm.physics.outcome import Ending
from hsm.physics.record import COLUMNS, Record

if TYPE_CHECKING:
    from hsm.physics.simulate import Frame  # loads JAX, which who reads a history does not need

SpaceTime = tuple[NDArray[np.float64], NDArray[np.float32]]
NAME = "rho_history.h5"
SCHEMA = "hsm.physics.rho_history/4"
RUNNING = "running"
BALANCE = ("t", "mass", "rate")
FORMAT = ("v110", "v110")  # the oldest file format that allows readers beside a writer
SERIES_CHUNK = 1024  # rows


class HistoryFile:
    """The growing history of one run; use as a context manager, which closes the part file if the run fails.

    Locking is off: this process is the only writer, and locks would shut readers out (and fail on some NFS).
    """

    def __init__(self, path: Path, shape: tuple[int, ...], identity: Mapping[str, str | int | float]) -> None:
        self._path = path
        self._file = h5py.File(part_of(path), "w", libver=FORMAT, locking=False)
        _describe(self._file, {"schema": SCHEMA, "status": RUNNING, "reason": ""})
        _describe(self._file.create_group("identity"), identity)
        series = self._file.create_group("series")
        self._rho = _Column(self._file, "rho", np.float32, (1, *shape))
        self._t = _Column(self._file, "t", np.float64, (SERIES_CHUNK,))
        self._series = {name: _Column(series, name, kind, (SERIES_CHUNK,)) for name, kind in COLUMNS.items()}
        self._file.swmr_mode = True

    def append(self, record: Record) -> None:
        """Add one frame and make it visible to readers."""
        row = _place(self.count, ())
        for name, value in record.row().items():
            self._series[name].append(value, row)
        self._rho.append(record.rho, _place(self.count, record.rho.shape))
        self._t.append(record.t, row)  # last: its length says how many frames are whole
        self._file.flush()

    def records(self, first: int) -> Iterator[Record]:
        """Read back the frames so far, from number `first` on."""
        series = {name: column.dataset[first:] for name, column in self._series.items()}
        for number in range(self.count - first):
            row = {name: values[number] for name, values in series.items()}
            yield Record.of_row(row, self._rho.dataset[first + number])

    @property
    def count(self) -> int:
        """The number of frames so far."""
        return self._t.count

    def space_time(self) -> SpaceTime:
        """Return every saved time and all densities."""
        return self._t.dataset[:], self._rho.dataset[:]

    def finish(
        self,
        last: Frame,
        ending: Ending,
        balance: Sequence[tuple[float, float, float]] = (),
        *,
        synced: bool = True,
    ) -> None:
        """Add the final field and the ending, close, sync and give the file its final name."""
        self._file.close()  # objects can only be added after the multiple-readers mode
        with h5py.File(part_of(self._path), "r+", libver=FORMAT, locking=False) as file:
            file.create_dataset("psi_final", data=last.psi).attrs["t"] = last.t
            if last.omega is not None:
                file.create_dataset("omega_final", data=last.omega).attrs["t"] = last.t
            columns = np.array(balance, np.float64).reshape(-1, len(BALANCE)).T
            for name, column in zip(BALANCE, columns, strict=True):
                file.create_dataset(f"balance/{name}", data=column)
            file.attrs["status"] = ending.status.value
            file.attrs["reason"] = ending.reason or ""
        publish(self._path, synced=synced)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()


class _Column:
    """A growing dataset, by the low-level calls: the others take a tenth of a small run."""

    def __init__(self, group: h5py.Group, name: str, dtype: type[np.generic], chunk: tuple[int, ...]) -> None:
        self._shape, self._kind = chunk[1:], h5py.h5t.py_create(np.dtype(dtype), logical=True)
        empty = h5py.h5s.create_simple((0, *self._shape), (h5py.h5s.UNLIMITED, *self._shape))
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk(chunk)
        layout.set_obj_track_times(False)
        self.dataset = h5py.Dataset(h5py.h5d.create(group.id, name.encode(), self._kind, empty, layout))
        self._dtype, self._one = dtype, h5py.h5s.create_simple((1, *self._shape))
        self.count = 0

    def append(self, value: object, place: h5py.h5s.SpaceID) -> None:
        """Add one entry; `place` is its own (`_place`)."""
        dataset, entry = self.dataset.id, np.ascontiguousarray(value, self._dtype)
        dataset.set_extent((self.count + 1, *self._shape))
        dataset.write(self._one, place, entry.reshape(1, *self._shape), self._kind)
        self.count += 1


def _place(count: int, shape: tuple[int, ...]) -> h5py.h5s.SpaceID:
    """Return where the next entry of a dataset lies that has so many entries of a shape."""
    place = h5py.h5s.create_simple((count + 1, *shape))
    place.select_hyperslab((count, *(0 for _ in shape)), (1, *shape))
    return place


def _describe(group: h5py.Group, attributes: Mapping[str, str | int | float]) -> None:
    """Add attributes that a group does not have, by the low-level calls too."""
    scalar, text = h5py.h5s.create(h5py.h5s.SCALAR), h5py.string_dtype()
    for name, value in attributes.items():
        content = np.array(value, text if isinstance(value, str) else None)
        kind = h5py.h5t.py_create(content.dtype, logical=True)
        h5py.h5a.create(group.id, name.encode(), kind, scalar).write(content)
