"""Syntax of scripts, and their types as the TypeScript compiler judges them."""
