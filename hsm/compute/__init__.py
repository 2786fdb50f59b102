"""Where attempts run: the sources, the agent that executes attempts, and the contract that all sources keep."""
