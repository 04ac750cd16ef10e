"""Imports and exports that run in the background, one after another."""
