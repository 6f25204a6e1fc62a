"""MySQL queries and expressions compiled to sqlite text."""
