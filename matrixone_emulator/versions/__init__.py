"""Differences between server versions: rules as named flags, words, function names."""
