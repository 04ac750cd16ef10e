"""What a page of a list is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

Item_co = TypeVar("Item_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item_co]):
    """One page of an offset list; `number` counts from 0."""

    items: tuple[Item_co, ...]
    number: int
    size: int
    total_elements: int
    total_pages: int
