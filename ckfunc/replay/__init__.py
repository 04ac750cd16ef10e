"""Whether the working copy would do what the deployed version does, found out by running both on what was recorded."""
