# A thin door: every target is one or two plain lines that can be typed as they stand.

.PHONY: help hunt test lint docs night bench physics-mutants clean-venv

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/'

hunt: ## set up, run the example hunt on this machine, write its report
	sh tools/setup.sh
	.venv/bin/hsm sweep run sweeps/ncgl_hunt.yaml --source local

test: ## set up and run every check: style, types, architecture, tests
	sh tools/setup.sh dev
	sh tools/check.sh

lint: ## the static checks alone, a few seconds
	sh tools/setup.sh dev
	sh tools/check.sh static

docs: ## make the site of docs/ in docs/_build
	sh tools/setup.sh dev
	sh tools/check.sh docs

night: ## kill manager and agent at every act on the disk; takes about half an hour
	sh tools/setup.sh dev
	HSM_NIGHT=1 .venv/bin/python -m pytest tests/integration/test_kill_points.py

bench: ## measure the figures of docs/explanation/performance.md
	sh tools/setup.sh dev
	.venv/bin/python -m pip install --quiet 'pip>=25.1'
	.venv/bin/python -m pip install --quiet --group bench
	sh tools/bench.sh

physics-mutants: ## plant numeric bugs in the solver and count how many its tests catch; a few minutes
	sh tools/setup.sh dev
	.venv/bin/python -m tests.integration.physics.mutants

clean-venv: ## remove the virtual environment
	rm -rf .venv
