"""Moments that are kept, of each object, and the policies that keep them."""
