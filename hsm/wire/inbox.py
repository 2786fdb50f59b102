"""An agent's inbox: what its managers said, one log per session of one of them, and how much of each counts.

    inbox/000003-0001.log    the first session of the manager of epoch 3

A session's first message, `Hello`, says how long each older log was when it began. What a superseded manager
writes behind that is ignored, by the agent that runs, by one that comes after it, and by every manager.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, NamedTuple, Tuple

from hsm.wire.files import Files
from hsm.wire.log import LogReader, Record


class Said(NamedTuple):
    """One record of the inbox, and the epoch of the manager that said it."""

    epoch: int
    record: Record


class Inbox:
    """Reads what counts of an inbox, and can be asked again for what has come since."""

    def __init__(self, files: Files, directory: str) -> None:
        self._files = files
        self._directory = directory
        self._readers: Dict[str, LogReader] = {}
        self._limits: Dict[str, int] = {}
        self._newest = ""  # the log of the newest session that has said hello

    def read(self) -> List[Said]:
        """Return what has been said since, session by session, without what is behind a limit.

        Runs that were heard before the limit was known are recalled by a record in their place.
        """
        names = log_names(self._files, self._directory)
        heard: Dict[str, List[Record]] = {}
        for name in reversed(names):  # the newest one first: it limits the older ones
            heard[name] = list(self._read_log(name))
        return [Said(epoch_of(name), record) for name in names for record in heard[name]]

    def _read_log(self, name: str) -> Iterator[Record]:
        if name < self._newest and name not in self._limits:
            return  # it was not there when a newer session began
        reader = self._readers.get(name)
        if reader is None:
            reader = self._readers[name] = LogReader(self._files, f"{self._directory}/{name}")
        limit = self._limits.get(name)
        if limit is not None and reader.position.offset > limit:
            yield from self._take_back(name, limit, reader.position.offset)
            return
        for record in reader.records(limit):
            if record["t"] == "hello":
                self._limit(name, record)
            if record["t"] != "inbox":
                yield record

    def _limit(self, name: str, hello: Record) -> None:
        self._newest = max(self._newest, name)
        for older, length in hello["prev"].items():
            self._limits[older] = min(length, self._limits.get(older, length))

    def _take_back(self, name: str, limit: int, until: int) -> Iterator[Record]:
        """Recall, once, the runs of a log that stand behind its limit and were heard all the same."""
        reader = LogReader(self._files, f"{self._directory}/{name}")
        kept = {record["token"] for record in reader.records(limit) if record["t"] == "run"}
        behind = [record["token"] for record in reader.records(until) if record["t"] == "run"]
        self._readers[name] = LogReader(self._files, reader.path, reader.position._replace(offset=limit))
        tokens = [token for token in behind if token not in kept]
        if tokens:
            yield {"t": "recall", "tokens": tokens}


def epoch_of(name: str) -> int:
    """Return the epoch of a log's manager."""
    return int(name.partition("-")[0])


def log_names(files: Files, directory: str) -> List[str]:
    """Return the names of an inbox's logs in order."""
    return [name for name in files.list(directory) if name.endswith(".log")]


def next_session(files: Files, directory: str, epoch: int) -> Tuple[str, Dict[str, int]]:
    """Return the name of the next log of an epoch's manager, and how long each log is now.

    The lengths are those of files opened just now: on network file systems a `stat` may be old.
    """
    names = log_names(files, directory)
    ours = [int(name[:-4].partition("-")[2]) for name in names if epoch_of(name) == epoch]
    lengths: Dict[str, Any] = {name: _length(files, f"{directory}/{name}") for name in names}
    return f"{epoch:06d}-{max(ours, default=0) + 1:04d}.log", lengths


def _length(files: Files, path: str) -> int:
    fd = files.open_append(path)
    try:
        return files.size(fd)
    finally:
        files.close(fd)
