"""Run functions for events: find the function, run it, and record the result."""
