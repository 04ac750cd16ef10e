"""Batches of changed files, made of file events. Knows nothing of deploying."""
