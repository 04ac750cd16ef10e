"""Handlers bundled with the local files that they import."""
