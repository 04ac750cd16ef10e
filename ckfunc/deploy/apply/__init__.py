"""Plans carried out: idempotent writes, journal, resume, undo, verification."""
