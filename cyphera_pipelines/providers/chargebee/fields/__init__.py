"""Where each column's value stands in a Chargebee object: one module per entity."""
