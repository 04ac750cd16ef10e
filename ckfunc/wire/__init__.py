"""The second floor: the platform's JSON, in both spellings, to and from the model; pure, in both directions."""
