"""The agent: runs, watches and records attempts on any machine.

Standard library and `hsm.wire` only, Python >= 3.9.
"""
