"""The manifest: `functions.yaml` and the files that it refers to."""
