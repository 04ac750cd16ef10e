"""A ChatKitty platform on this machine: its API, its database, and real Node to run the functions."""
