"""The page's style and script: a few small files of this package, and nothing from anywhere else."""

import hashlib
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent / "static"
ASSETS_PATH = "/ops/static"
_FOR_A_YEAR = "public, max-age=31536000, immutable"


class Assets(StaticFiles):
    """Each file under a name that changes with what is in it: see `asset_name`."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, to be kept by browsers."""
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _FOR_A_YEAR if scope.get("query_string") else "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


def asset_name(name: str) -> str:
    """The file's name with what tells this release's from others', as in `ops.css?3f2a9c01`."""
    return f"{name}?{_DIGESTS[name]}"


_DIGESTS = {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:8] for file in FOLDER.iterdir()}
