"""Conversion between the model and the platform's JSON, in both spellings."""
