"""What a person writes, as text or in Python, and the typed system that it declares."""
