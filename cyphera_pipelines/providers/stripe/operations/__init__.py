"""What the product's backend does at Stripe: a file for each group of operations.

A group turns requests into prepared writes, and answers into canonical objects (`objects/`). `account` performs what
was prepared, by `sending`, and finds out what became of it, by `finding`.
"""
