# A thin door: every target is one or two plain lines that can be typed as they stand.

.PHONY: help hunt test lint docs night sim mutants physics-mutants bench clean-venv

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

night: ## kill at every act on the disk, cut the power 200 times, and the rest of the faults; takes over an hour
	sh tools/setup.sh dev
	sh tools/check.sh night

sim: ## simulate N sweeps under faults (make sim N=100000); a failing seed is shown again by `replay SEED`
	sh tools/setup.sh dev
	.venv/bin/python -m hsm.sim run --seeds $(or $(N),2000) --first $(or $(FIRST),0) --jobs 2

mutants: ## plant bugs and see that the simulation finds each of them
	sh tools/setup.sh dev
	.venv/bin/python -m hsm.sim mutants --jobs 2

bench: ## measure the figures of docs/explanation/performance.md
	sh tools/setup.sh bench
	sh tools/bench.sh

physics-mutants: ## plant numeric bugs in the solver and count how many its tests catch; a few minutes
	sh tools/setup.sh dev
	.venv/bin/python -m tests.integration.physics.mutants

clean-venv: ## remove the virtual environment
	rm -rf .venv
