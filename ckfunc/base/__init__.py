"""Foundations on the standard library only: errors, time, files, text."""
