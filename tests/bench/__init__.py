"""Measurements, not tests: nothing here passes or fails. `make bench`, or `python -m tests.bench --help`."""
