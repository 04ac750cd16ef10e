"""The user's own tests: cases in YAML, how they are judged, shown, and made of what happened."""
