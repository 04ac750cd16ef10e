"""The dashboard: pages about the emulator's data, rendered on the server."""
