"""The user's own tests: cases in YAML, run, judged, shown, and recorded from invocations."""
