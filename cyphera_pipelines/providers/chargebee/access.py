"""Whether the credentials open the site that they are meant for, and one that can be read."""

import re
from typing import Any

from cyphera_pipelines.providers.base import AccountNotOpenError
from cyphera_pipelines.providers.chargebee.errors import CATALOG_REMEDY
from cyphera_pipelines.providers.chargebee.site import HOSTS

_NAME = re.compile(r"[a-z0-9-]+", re.ASCII)


def check_configurations(answer: dict[str, Any], site: str) -> None:
    """Raise AccountNotOpenError unless `GET /configurations` tells of this site, with Product Catalog 2.0 alone.

    What is not told is no reason.
    """
    told = answer.get("configurations")
    configurations = [each for each in told if isinstance(each, dict)] if isinstance(told, list) else []
    names = [name for name in map(_site_name, configurations) if name is not None]
    if names and site not in names:
        raise AccountNotOpenError(
            f"The API key opens the site {names[0][:100]}, not {site}: nothing was read. Check the option site, and "
            "that the key is one of this very site."
        )
    for each in configurations:
        version, schema = each.get("product_catalog_version"), each.get("chargebee_response_schema_type")
        if version == "v1" or schema in ("plans_addons", "compat"):
            has = "Product Catalog 1.0" if version == "v1" else "both product catalogs"
            raise AccountNotOpenError(f"The site {site} has {has}: nothing was read. {CATALOG_REMEDY}")


def _site_name(configuration: dict[str, Any]) -> str | None:
    """The site that the configuration is of; None where it names another kind of domain, or none."""
    domain = configuration.get("domain")
    name = domain.lower().removesuffix(HOSTS) if isinstance(domain, str) else ""
    return name if _NAME.fullmatch(name) and name != "localhost" else None
