"""Workspaces (tenants) and the rules of their slugs."""

import re
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from cyphera_pipelines.model.errors import InvalidInputError

SLUG_PATTERN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class Workspace:
    """One tenant. `slug` is unique, immutable and URL-safe; it is also the first half of a partition key.

    `is_demo` is whether `cyphera demo` made it, and may delete it.
    """

    id: UUID
    slug: str
    name: str
    created_at: datetime
    is_demo: bool = False


def validate_slug(slug: str) -> str:
    """Return `slug` unchanged, or raise InvalidInputError. Dagster does not check dynamic partition keys: we do."""
    if not SLUG_PATTERN.fullmatch(slug):
        raise InvalidInputError(
            f"{slug!r} is not a workspace slug: use 1 to 63 lower-case letters, digits and inner hyphens, "
            "as in 'acme-eu'."
        )
    return slug
