"""A throwaway platform: runs of one handler, conversations, seeds, mentioned data."""
