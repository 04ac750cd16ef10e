"""The top floor: the commands, which compose the rooms below; the only place that prints."""
