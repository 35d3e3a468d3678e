"""What the businesses of all providers' sandboxes are made of: chance, ids, times and names, the same for each seed."""
