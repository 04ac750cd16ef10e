"""How a request becomes a call and an answer goes out: routes, tokens, bodies, paging, spellings and problems."""
