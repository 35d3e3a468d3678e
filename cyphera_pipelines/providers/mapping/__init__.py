"""What providers share that turn their objects into rows."""
