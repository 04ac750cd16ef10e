"""HTTP without resources: routes, access, bodies, paging and problems."""
