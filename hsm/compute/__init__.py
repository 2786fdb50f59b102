"""Where attempts run: the sources, the agent that executes attempts, and the contract of all sources."""
