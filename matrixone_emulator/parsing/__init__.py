"""Statements parsed into plain data, or refused as the server's parser refuses them."""
