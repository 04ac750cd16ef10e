"""Chat on the emulator: a client of the client protocol, and tables of what is there."""
