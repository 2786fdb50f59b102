"""What a finished history says: everything that scores are made from, and nothing else.

The worker reads its own file back before it writes the scores, so who has it can compute them again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from hsm.physics.history import BALANCE, RUNNING, SCHEMA
from hsm.physics.measure import log_prime, structure
from hsm.physics.measure.chance import Compared, NotComputable, compare, key_of
from hsm.physics.measure.coherence import local_coherence, order_of
from hsm.physics.measure.spectrum import Numbers, Spectrum, spectrum
from hsm.physics.measure.surrogates import Surrogates
from hsm.physics.metrics import Diagnostics, Field
from hsm.physics.parameters import ParameterErrors, Params, stored_params
from hsm.physics.record import COLUMNS, python_value
from hsm.physics.status import Status


class UnreadableArtifact(Exception):
    """The file is no finished history of this program."""


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One finished run.

    psi: the last good field in double precision, whatever it was stored in; epsilon: the relative precision
    that it was stored in. frames: the value of every time series at every saved time, None where there is
    none. balance: the columns `t`, `mass` and `rate` of the last steps (see `balance`).
    """

    params: Params
    status: Status
    reason: str | None
    psi: Field
    epsilon: float
    frames: tuple[Mapping[str, float | None], ...]
    balance: Mapping[str, NDArray[np.float64]]

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a history.

        Raises:
            UnreadableArtifact: it is missing, damaged, unfinished or of another kind.
        """
        if not path.is_file():
            raise UnreadableArtifact(f"there is no file {path}")
        if not h5py.is_hdf5(path):
            raise UnreadableArtifact(f"{path} is no HDF5 file")
        try:
            with h5py.File(path, "r", locking=False) as file:
                return cls._of(file)
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise UnreadableArtifact(f"{path} cannot be read: {error}") from error

    @classmethod
    def _of(cls, file: h5py.File) -> Self:
        schema, status = file.attrs["schema"], file.attrs["status"]
        if schema != SCHEMA:
            raise ValueError(
                f"it is of schema {schema}, not {SCHEMA}: another version of hsm.physics wrote it"
            )
        if status == RUNNING:
            raise ValueError("its run has not ended")
        try:
            params = stored_params(file["identity"].attrs["params"])
        except ParameterErrors as error:
            raise ValueError(f"its parameters are not known here: {error}") from error
        psi, kept, closing = file["psi_final"][:], file["series"], file["balance"]
        series = {name: _column(kept, name) for name in COLUMNS}
        return cls(
            params=params,
            status=Status(status),
            reason=file.attrs["reason"] or None,
            psi=psi.astype(np.complex128),
            epsilon=float(np.finfo(psi.dtype).eps),
            frames=tuple(
                {name: python_value(column[at]) for name, column in series.items()}
                for at in range(len(file["t"]))
            ),
            balance={name: _column(closing, name) for name in BALANCE},
        )

    @property
    def last(self) -> Mapping[str, float | None]:
        """The time series at the last saved time."""
        return self.frames[-1]

    @cached_property
    def figures(self) -> tuple[Diagnostics, ...]:
        """What was measured on each saved field."""
        names = [f.name for f in fields(Diagnostics)]
        kept: list[dict[str, Any]] = [{name: frame[name] for name in names} for frame in self.frames]
        return tuple(Diagnostics(**frame) for frame in kept)

    @cached_property
    def key(self) -> int:
        """The key of the draws of this run's nulls."""
        return key_of(self.params.canonical_json())

    @cached_property
    def field(self) -> Field:
        """psi, fit to be measured.

        Raises:
            NotComputable: it holds what is no number.
        """
        if not np.isfinite(self.psi).all():
            raise NotComputable("the final field is not finite")
        return self.psi

    @cached_property
    def spectrum(self) -> Spectrum:
        """The spectrum of the density of the last field.

        Raises:
            NotComputable: it has none.
        """
        rho = self.field.real**2 + self.field.imag**2
        return spectrum(rho, self.params.L, self.epsilon)

    @cached_property
    def order_null(self) -> Numbers:
        """pcs, pcs_local and the number of defects of surrogates, one row each."""
        return self.surrogates.scores(lambda psi: order_of(psi, self.params.grid))

    @property
    def pcs_null(self) -> Compared:
        """The phase coherence of the last field beside the field null."""
        return self._beside(self.figures[-1].pcs, 0)

    @property
    def pcs_local_null(self) -> Compared:
        """The coherence over a stated range beside the field null.

        Raises:
            NotComputable: it does not exist.
        """
        return self._beside(local_coherence(self.field, self.params.grid), 1)

    @property
    def defects_null(self) -> Compared:
        """The number of defects beside the field null, which has no p-value here: there is no better."""
        null = self.order_null[:, 2]
        return Compared(score=self.figures[-1].defect_count, drawn=null, low_is_good=False)

    def _beside(self, score: float, column: int) -> Compared:
        null = self.order_null[:, column]
        return compare(score, lambda count: null[:count], null.size, low_is_good=False)

    @cached_property
    def structure_null(self) -> Compared:
        """The height of the peak of the spectrum beside its null.

        Raises:
            NotComputable: there is no peak, or hardly ever one in the null.
        """
        return structure.peak_null(self.spectrum, self.key)

    @cached_property
    def log_prime_nulls(self) -> Mapping[str, Compared]:
        """The misfit to the primes beside the nulls A, B and C, by these letters.

        Raises:
            NotComputable: there is no score, or a null has hardly ever one.
        """
        return log_prime.nulls(self.spectrum, self.surrogates, self.key)

    @cached_property
    def surrogates(self) -> Surrogates:
        """Fields with the spectrum of the last one."""
        return Surrogates(self.field, self.key)


def _column(group: h5py.Group, name: str) -> NDArray[Any]:
    """Return a whole dataset, by the low-level calls: every run reads twenty back."""
    dataset = h5py.h5d.open(group.id, name.encode())
    column: NDArray[Any] = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, column)
    return column
