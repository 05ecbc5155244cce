"""Research: audits, sweeps, benchmarks, published anchors and the report of a run."""
