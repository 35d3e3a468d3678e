"""What subscriptions bring in a month, and how that moved: made from the synced tables, by rules that one can read."""
