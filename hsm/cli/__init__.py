"""The command line: `hsm`. The only package that talks to the terminal; it keeps no truth of its own."""
