"""Objects computed from (seed, collection, number): nothing is stored; the same number is always the same object."""
