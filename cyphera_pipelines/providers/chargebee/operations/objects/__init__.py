"""Chargebee's objects in the field's own terms."""
