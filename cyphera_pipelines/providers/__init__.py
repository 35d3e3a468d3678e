"""Payment providers: how each is asked, and how its objects become rows."""
