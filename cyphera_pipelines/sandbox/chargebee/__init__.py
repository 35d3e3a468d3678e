"""A server shaped as Chargebee's API: its sites, the data they hold, what it answers and what it tells of."""
