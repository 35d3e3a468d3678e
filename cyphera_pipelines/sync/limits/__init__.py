"""Keeping to a provider's rate limits, those included that it does not tell."""
