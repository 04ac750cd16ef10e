"""Benchmarks: `python -m bench` for ckfunc, `python -m bench.peers` with other tools."""
