"""The order of the layers: one compiled fold over one arena, and the resumable loops that drive it."""
