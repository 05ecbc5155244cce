"""Replay, paper and live: three small drivers around one compiled local half."""
