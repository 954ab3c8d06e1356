"""Faults that a node meets on a vehicle, injected over real DDS into separate processes."""
