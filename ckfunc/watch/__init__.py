"""Batches of changed files, independent of what the caller does with them."""
