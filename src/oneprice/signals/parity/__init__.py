"""Parities: what a future, a forward, a perpetual or a cross must cost, as a band with every friction by name."""
