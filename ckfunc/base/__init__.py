"""Foundations from the standard library alone: errors, time, files, text."""
