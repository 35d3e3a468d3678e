"""From Stripe's objects to canonical ones, a file for each group of operations."""
