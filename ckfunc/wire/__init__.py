"""The platform's JSON, in both spellings, to and from the model."""
