"""Whether a machine is fit for sweeps: checks as data, each with its fix."""
