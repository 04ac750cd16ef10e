"""Whether the code of a project holds together: its syntax, and its types as the TypeScript compiler judges them."""
