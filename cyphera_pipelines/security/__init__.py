"""Encryption of credentials and the hiding of secrets."""
