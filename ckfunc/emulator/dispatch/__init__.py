"""How an event becomes a run: the function of its type, its environment, its host, and the row it leaves behind."""
