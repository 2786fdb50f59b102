"""What manager and agent share: log frames, messages, canonical JSON, hashes, manifests and names.

Standard library only, Python >= 3.9 syntax: the agent runs on hosts where nothing else can be had.
"""
