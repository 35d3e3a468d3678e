"""Where the operations page is, as far as the settings tell."""

from cyphera_pipelines.settings import Settings


def ops_address(settings: Settings) -> str:
    """The page's address: the one that the world sees, if that is set, else the API's own."""
    return f"{settings.public_url or settings.api_url}/ops"
