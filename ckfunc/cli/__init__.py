"""The command line: commands that call the rooms below and print the results."""
