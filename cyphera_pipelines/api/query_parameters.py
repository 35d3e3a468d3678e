"""What may stand in the address of a request that changes something: a word that is not known there is a mistake.

`?dryrun=true` would write at the provider, and of `?dry_run=true&dry_run=false` one of the two would be overheard.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any, get_args, get_origin

from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query
from fastapi.routing import APIRoute
from starlette.requests import Request

from cyphera_pipelines.api.problems import FieldProblem, invalid
from cyphera_pipelines.security.secrets import redact

LONGEST_NAME_SHOWN = 100


@dataclass(frozen=True)
class QueryParameters:
    """The parameters that one route takes. `lists` are those that may come more than once."""

    names: frozenset[str]
    lists: frozenset[str]

    @classmethod
    def of(cls, route: APIRoute) -> "QueryParameters":
        """Those of the route, and of what it depends on."""
        found = [field for field in get_flat_params(route.dependant) if isinstance(field.field_info, Query)]
        lists = (field.alias for field in found if _is_list(field.field_info.annotation))
        return cls(frozenset(field.alias for field in found), frozenset(lists))

    def check(self, request: Request) -> None:
        """Raise the problem that names each parameter that is not known, or is repeated."""
        counts = Counter(name for name, _value in request.query_params.multi_items())
        unknown = [
            _refused(each, "There is no such parameter.", self._remedy()) for each in counts if each not in self.names
        ]
        repeated = [
            _refused(name, "It is there more than once.", "Give it once.")
            for name, count in counts.items()
            if count > 1 and name in self.names - self.lists
        ]
        if unknown or repeated:
            raise invalid(*unknown, *repeated)

    def _remedy(self) -> str:
        if not self.names:
            return "Leave it out: this takes none."
        return f"Leave it out, or check how it is spelled: there is {', '.join(sorted(self.names))}."


def _refused(name: str, message: str, remedy: str) -> FieldProblem:
    return FieldProblem(location="query", field=redact(name)[:LONGEST_NAME_SHOWN], message=message, remedy=remedy)


def _is_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(map(_is_list, get_args(annotation)))
