"""The sweep itself: pure domain, ledger, tracker and engine.

Nothing here knows how an attempt is run, how a file is configured or how anything is shown.
"""
