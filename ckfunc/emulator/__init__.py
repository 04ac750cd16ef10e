"""A local ChatKitty platform: its API, its database, and Node.js to run the functions."""
