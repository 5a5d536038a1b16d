"""A web that answers what a test has put there."""

from collections import Counter

PAGES: dict[str, str] = {}
ASKED: Counter[str] = Counter()


async def search_web(query: str) -> str:
    """Search the web."""
    ASKED[query] += 1
    return PAGES.get(query, f"nothing about {query}")


def put(**pages: str) -> None:
    """Fill the web with pages, and forget what was asked."""
    PAGES.clear()
    ASKED.clear()
    PAGES.update(pages)
