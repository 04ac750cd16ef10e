"""Plans, reports and versions as text, Markdown and JSON."""
