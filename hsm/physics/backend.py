"""JAX's process-wide settings: platform, threads, double precision and the persistent compilation cache.

The cache saves about as long as the compilation takes. JAX writes its entries in place, so a process killed
at the wrong moment, or two at once, would leave a torn entry for all later ones. Here every compiled program
has a directory of its own that is filled in private and published by one rename: a reader finds a whole entry
or none.
"""

import contextlib
import ctypes
import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT_BYTES, MAPPED_BYTES = 64 << 20, 16 << 20
STALE_S = 3600  # a private directory this old belongs to a process that was killed


def prepare_environment(environ: MutableMapping[str, str]) -> None:
    """Choose the platform and the threads; must run before JAX is first imported.

    HSM_CPUS is the number of cores the run may use; XLA would take all it can see.
    """
    environ.setdefault("JAX_PLATFORMS", "cpu")
    if environ.get("HSM_CPUS", "").isdigit():
        environ.setdefault("NPROC", environ["HSM_CPUS"])
        environ.setdefault("PJRT_NPROC", environ["HSM_CPUS"])


def keep_freed_memory() -> None:
    """Tell the allocator of the GNU C library to keep up to KEPT_BYTES that are free.

    Arrays of one size are made and freed thousands of times in a run; each time given back to the kernel and
    asked for again, their pages are filled with zeros anew, which takes a tenth of a small run.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library
        option = ctypes.CDLL(None).mallopt
        option(M_MMAP_THRESHOLD, MAPPED_BYTES)
        option(M_TRIM_THRESHOLD, KEPT_BYTES)


def allow_double_precision() -> None:
    """Let float64 arrays be float64; arrays of the simulation always state their type."""
    import jax

    jax.config.update("jax_enable_x64", True)


def cache_root(environ: Mapping[str, str]) -> Path:
    """Return the per-user folder: HSM_JAX_CACHE, else below XDG_CACHE_HOME, else below ~/.cache."""
    if chosen := environ.get("HSM_JAX_CACHE"):
        return Path(chosen)
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hsm" / "jax"


@dataclass(frozen=True, slots=True, kw_only=True)
class CompilationCache:
    """The entry of one compiled program; `folder` is where JAX works now, None where no cache is usable."""

    final: Path
    folder: Path | None

    @property
    def warm(self) -> bool:
        return self.folder == self.final

    def publish(self) -> None:
        """Share what has been compiled; what is compiled later is not cached."""
        if self.folder is None:
            return
        _use(None)
        if self.folder != self.final:
            with contextlib.suppress(
                OSError
            ):  # another process was first, or the disk is full: both are fine
                self.folder.rename(self.final)
            shutil.rmtree(self.folder, ignore_errors=True)


def open_cache(root: Path, program: Mapping[str, object]) -> CompilationCache:
    """Point JAX at the entry of `program`, which is all that distinguishes its compiled code.

    A root that cannot be written means no cache.
    """
    final = root / _key(program)
    if final.is_dir():
        folder: Path | None = final
    else:
        folder = _private(root)
    _use(folder)
    return CompilationCache(final=final, folder=folder)


def _private(root: Path) -> Path | None:
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in _stale(root):
            shutil.rmtree(left, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=".new-", dir=root))
    except OSError:
        return None


def _stale(root: Path) -> Iterator[Path]:
    for folder in root.glob(".new-*"):
        with contextlib.suppress(FileNotFoundError):  # published meanwhile
            if time.time() - folder.stat().st_mtime > STALE_S:
                yield folder


def _use(folder: Path | None) -> None:
    import jax
    from jax.experimental.compilation_cache import compilation_cache

    compilation_cache.reset_cache()
    jax.config.update("jax_compilation_cache_dir", None if folder is None else str(folder))
    # without this the folder is part of JAX's key, and a published entry would never be found again
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


@cache
def source_digest() -> str:
    """Return the SHA-256 of the source text of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def processor() -> str:
    """Return a name for everything about the processor that compiled code and its digits depend on."""
    features = hashlib.sha256(_cpu_features().encode()).hexdigest()[:12]
    return f"{platform.machine()} {cpu_model()} {features}"


def _key(program: Mapping[str, object]) -> str:
    facts = {
        "program": dict(program),
        "jax": _versions_of_jax(),
        "cpu": [platform.machine(), _cpu_features()],  # compiled code is for the processor it was compiled on
        "xla": [os.environ.get("XLA_FLAGS"), os.environ.get("JAX_PLATFORMS"), os.environ.get("NPROC")],
        "source": source_digest(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


@cache
def _versions_of_jax() -> list[str]:
    return [metadata.version("jax"), metadata.version("jaxlib")]


def _cpu_features() -> str:
    return _cpuinfo("flags") or _cpuinfo("Features") or platform.processor()


def cpu_model() -> str:
    """Return the processor's name, as well as it is known."""
    return _cpuinfo("model name") or platform.processor() or platform.machine()


@cache
def _cpuinfo(field: str) -> str | None:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), None)
