"""Bundling: how a handler and the local files that it imports become the one script that is deployed."""
