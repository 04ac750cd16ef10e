"""How fast and how big ckfunc is: `python -m bench` for ckfunc alone, `python -m bench.peers` beside others."""
