"""Invocations of functions: listed, followed, and formatted."""
