"""The emulator's database, one module per family: SQL in, model out."""
