"""Verification: the tables compared with the provider, object by object, and mended if that is asked for."""
