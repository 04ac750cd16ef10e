"""Turn an application into a project: its files, and merges with existing ones."""
