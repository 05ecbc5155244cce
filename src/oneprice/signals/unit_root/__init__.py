"""Is there a unit root: ADF and KPSS with simulated nulls beside the published response surfaces."""
