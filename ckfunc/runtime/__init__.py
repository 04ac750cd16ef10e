"""Handlers in real Node, with their npm packages, one process per function."""
