"""Recorded invocations, run by the deployed version and the working copy, and compared."""
