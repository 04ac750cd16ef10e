"""Operations of the API, one module per family: handlers and their ROUTES."""
