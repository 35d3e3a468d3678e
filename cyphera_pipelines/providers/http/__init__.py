"""What clients share that speak to a provider over HTTP: bounds, patience, and reading whatever comes."""
