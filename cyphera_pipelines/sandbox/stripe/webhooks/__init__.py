"""Stripe's webhook endpoints: made, changed and deleted through the API; what they are sent, and how it is signed."""
