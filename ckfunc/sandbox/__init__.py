"""A throwaway platform: run a handler once, seed files, and the data that an event mentions."""
