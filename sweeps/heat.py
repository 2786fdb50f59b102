"""Explicit one-dimensional heat equation: how far a hot spot has cooled after 200 steps."""

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--k", type=float, required=True, help="k dt / dx^2; stable up to 0.5")
parser.add_argument("--n", type=int, default=64, help="grid points")
args = parser.parse_args()
u = [1.0 if i == args.n // 2 else 0.0 for i in range(args.n)]
for _ in range(200):
    u = [u[i] + args.k * (u[i - 1] - 2 * u[i] + u[(i + 1) % args.n]) for i in range(args.n)]
Path("metrics.json").write_text(json.dumps({"peak": max(u), "heat": sum(u)}), encoding="utf-8")
