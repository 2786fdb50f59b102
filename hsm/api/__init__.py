"""Sweeps from Python: what `import hsm` offers, and the steps that it shares with the command line.

`AsyncSweep` is the implementation, for callers with an event loop; `Sweep` is the same for everybody else.
"""
