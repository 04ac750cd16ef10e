"""Commands, one per module.

A function imports what `--help` and completion do not need, so that both stay fast: the API client, the manifest, the
emulator.
"""
