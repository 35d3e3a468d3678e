"""Chargebee's webhooks: no signature, but a user and a password where the endpoint asks for them."""
