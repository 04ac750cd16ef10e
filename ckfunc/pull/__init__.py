"""Pull an application into a new or an existing project."""
