"""Webhooks: endpoints made through the API, and what happens in an account sent to them, signed."""
