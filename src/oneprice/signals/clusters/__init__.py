"""Groups of series worth testing together: OPTICS on factor loadings, graph communities, and matching."""
