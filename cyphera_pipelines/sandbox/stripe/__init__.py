"""A server shaped as Stripe's API: its accounts, the data they hold, what it answers and what it tells of."""
