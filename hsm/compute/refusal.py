"""Orders that a source can never carry out: said at once, before anything is handed over."""

from __future__ import annotations

from hsm.core.source import AttemptOrder, Capabilities, Rejected


def refusal(order: AttemptOrder, capabilities: Capabilities) -> Rejected | None:
    """Return why no attempt of this source could ever run as ordered, None when one could."""
    if not order.argv or not order.argv[0]:
        return Rejected(reason="there is no command to run")
    if any("\0" in argument for argument in order.argv):
        return Rejected(reason="the command holds a NUL character, which no program can be given")
    wanted, offered = order.resources.gpus, capabilities.gpus
    if wanted > offered:
        return Rejected(reason=f"it needs {wanted} GPU{'s' * (wanted != 1)} and the source has {offered}")
    return None
