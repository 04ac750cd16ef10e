"""Syntax and type checks of a project's scripts."""
