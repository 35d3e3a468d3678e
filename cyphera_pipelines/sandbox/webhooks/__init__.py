"""Webhooks of any provider: what happens in an account on its way to endpoints, and what goes wrong on the way."""
