"""Real servers behind the stores, started by the tests on loopback."""
