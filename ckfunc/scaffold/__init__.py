"""New projects and handlers, and types for editors and `tsc`."""
