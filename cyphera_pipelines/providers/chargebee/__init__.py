"""Chargebee, with Product Catalog 2.0: items and item prices."""
