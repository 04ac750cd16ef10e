"""How an application becomes a project again: what its files would be, and how they meet the ones that are there."""
