"""results/rho_history.h5: the density over time, the final field and the time series of one run.

    /rho        (frames, N, …) float32, one frame per chunk, not compressed (turbulence does not shrink)
    /t          (frames,)      float64, time of each frame
    /series/*   (frames,)      step and the figures of `metrics.Diagnostics`
    /psi_final  (N, …)         complex64 or complex128, the last good field; attribute t
    attributes  schema, params (canonical JSON), config_hash, seed, task_id, versions, status, reason

The file grows under the name `rho_history.h5.part` in HDF5's single-writer, multiple-readers mode: open it
with `h5py.File(path, swmr=True)` while the run goes on. It gets its final name when it is closed and synced.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Self

import h5py
import numpy as np

from hsm.physics.artifacts import part_of, publish
from hsm.physics.metrics import Diagnostics
from hsm.physics.outcome import Ending
from hsm.physics.simulate import Frame

SCHEMA = "hsm.physics.rho_history/1"
RUNNING = "running"
FORMAT = ("v110", "v110")  # the oldest file format that allows readers beside a writer
SERIES_CHUNK = 1024  # rows


class HistoryFile:
    """The growing history of one run; use as a context manager, which closes the part file if the run fails.

    Locking is off: this process is the only writer, and locks would shut readers out (and fail on some NFS).
    """

    def __init__(self, path: Path, shape: tuple[int, ...], identity: Mapping[str, str | int]) -> None:
        self._path = path
        self._file = h5py.File(part_of(path), "w", libver=FORMAT, locking=False)
        self._file.attrs.update({"schema": SCHEMA, "status": RUNNING, "reason": "", **identity})
        frame = (1, *shape)
        self._file.create_dataset("rho", (0, *shape), np.float32, maxshape=(None, *shape), chunks=frame)
        self._column("t", np.float64)
        self._column("series/t", np.float64)
        self._column("series/step", np.int64)
        for figure in fields(Diagnostics):
            self._column(f"series/{figure.name}", np.int64 if figure.type is int else np.float64)
        self._file.swmr_mode = True

    def _column(self, name: str, dtype: type[np.generic]) -> None:
        self._file.create_dataset(name, (0,), dtype, maxshape=(None,), chunks=(SERIES_CHUNK,))

    def append(self, frame: Frame) -> None:
        """Add one frame and make it visible to readers."""
        seen = frame.figures
        row: dict[str, object] = {figure.name: getattr(seen, figure.name) for figure in fields(seen)}
        for name, value in {"t": frame.t, "step": frame.step, **row}.items():
            self._add(f"series/{name}", value)
        self._add("rho", frame.psi.real**2 + frame.psi.imag**2)
        self._add("t", frame.t)  # last: its length says how many frames are whole
        self._file.flush()

    def _add(self, name: str, value: object) -> None:
        dataset = self._file[name]
        count = dataset.shape[0]
        dataset.resize(count + 1, axis=0)
        dataset[count] = np.nan if value is None else value

    def finish(self, last: Frame, ending: Ending) -> None:
        """Add the final field and the ending, close, sync and give the file its final name."""
        self._file.close()  # objects can only be added after the multiple-readers mode
        with h5py.File(part_of(self._path), "r+", libver=FORMAT, locking=False) as file:
            file.create_dataset("psi_final", data=last.psi)
            file["psi_final"].attrs["t"] = last.t
            file.attrs["status"] = ending.status.value
            file.attrs["reason"] = ending.reason or ""
        publish(self._path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
