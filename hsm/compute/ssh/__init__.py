"""Hosts that have sshd and a Python: how they are reached, what is carried there, what comes back."""
