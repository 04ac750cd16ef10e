"""Recorded invocations, run by the deployed version and by the working copy."""
