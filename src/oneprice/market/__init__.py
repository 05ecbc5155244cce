"""Layer 1: tapes, merge, books, quality, clocks, importers, data packs, synthetic worlds."""
