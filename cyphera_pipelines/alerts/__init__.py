"""Alerts: what is wrong with sources is told to whoever wants to know, once, and so is its end."""
