"""The server: listening, sessions, and the conversation with each client."""
