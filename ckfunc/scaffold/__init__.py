"""The fourth floor's drawing office: new projects, new handlers, and the types that editors and `tsc` read."""
