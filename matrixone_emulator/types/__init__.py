"""SQL types, values, and the definitions of tables: plain data."""
