"""Where calls go: models, tools and retrievers behind one interface."""
