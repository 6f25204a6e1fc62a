"""SQL functions and aggregates that sqlite gets from Python."""
