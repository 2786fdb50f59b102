"""The physics workload that ships with HSM: the S-NCGL equation, flat or in a metric, in JAX.

This package is a program like any user's (`python -m hsm.physics`), and imports nothing else of HSM.
Importing the package itself loads NumPy at most; JAX is loaded by the modules that compute.
"""

from hsm.physics.parameters import ParameterErrors, Params

__all__ = ["ParameterErrors", "Params"]
