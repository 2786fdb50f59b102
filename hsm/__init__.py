"""HSM, the HPC Sweep Manager: durable parameter sweeps and adaptive hunts.

Importing this package is cheap: nothing heavier than the standard library is loaded.
"""

from hsm._version import __version__

__all__ = ["__version__"]
