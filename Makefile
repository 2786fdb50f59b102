# A thin door: every target is one or two plain lines that can be typed as they stand.

.PHONY: help hunt test lint docs night bench clean-venv

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
	HSM_NIGHT=1 .venv/bin/python -m pytest -o faulthandler_timeout=0 tests/integration/test_kill_points.py tests/integration/test_power_cuts.py \
		tests/integration/test_hard_limits.py tests/integration/test_bad_places.py tests/integration/test_faults.py

bench: ## measure the figures of docs/explanation/performance.md
	sh tools/setup.sh dev
	sh tools/bench.sh

clean-venv: ## remove the virtual environment
	rm -rf .venv
