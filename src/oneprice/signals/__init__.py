"""Layer 3: what a gap is worth after all costs, and when it is wide enough to act on."""
