"""Stripe, as documented for the API version that the installed `stripe` package pins."""
