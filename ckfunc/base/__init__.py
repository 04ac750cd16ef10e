"""The ground floor: errors, time, files and secrets, from the standard library alone."""
