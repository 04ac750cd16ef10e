"""ckfunc: the developer toolkit for ChatKitty chat functions."""

__version__ = "0.2.0"
