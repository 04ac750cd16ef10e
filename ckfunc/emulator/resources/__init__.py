"""One module per family of operations: thin handlers and their ROUTES lines."""
