"""Devices for tests: what a user would plug in, made of real servers on this machine."""
