"""The system databases, the system variables, and the accounts."""
