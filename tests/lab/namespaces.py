"""A host behind a cable of its own: a network namespace with its address. Needs root and iproute2."""

import os
import shutil
import subprocess

import pytest

PREFIX = "10.213"


class Cable:
    """A namespace and the pair of devices that joins it to this machine."""

    def __init__(self, number: int) -> None:
        tag = f"{os.getpid():x}{number:x}"[-8:]
        self.netns = f"hsm{tag}"
        self._near, self._far = f"hn{tag}", f"hf{tag}"
        network = f"{PREFIX}.{os.getpid() % 250}.{number * 4}"
        base, _, last = network.rpartition(".")
        self.near_address, self.address = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
        _ip("netns", "add", self.netns)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self.netns)
            _ip("addr", "add", f"{self.near_address}/30", "dev", self._near)
            _ip("link", "set", self._near, "up")
            self._inside("addr", "add", f"{self.address}/30", "dev", self._far)
            self._inside("link", "set", self._far, "up")
            self._inside("link", "set", "lo", "up")
        except BaseException:
            self.end()
            raise

    def _inside(self, *words: str) -> None:
        _ip("-n", self.netns, *words)

    def drop(self) -> None:
        """Lose every packet that the host sends: connections stay open and silent, dials run out of time."""
        self._inside("route", "add", "blackhole", f"{self.near_address}/32")

    def heal(self) -> None:
        """Let packets pass again."""
        self._inside("route", "del", "blackhole", f"{self.near_address}/32")

    def end(self) -> None:
        """Remove it."""
        subprocess.run(["ip", "netns", "del", self.netns], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._near], check=False, capture_output=True)


def need_namespaces() -> None:
    """Skip, and say so, where no network namespace can be made."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("NO NETWORK NAMESPACES: root and iproute2 are needed to pull a host's cable")
    name = f"hsmtry{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], check=False, capture_output=True).returncode:
        pytest.skip("NO NETWORK NAMESPACES: this machine lets nobody make one")
    subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)
