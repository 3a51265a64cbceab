"""The one way in which tests start the real service (`process`), what it stands on (`backing`, `servers`), and a look
at what it keeps that shares no code with it (`rows`, `held`).

`GATEWAY_TEST_CATALOG=sqlite|postgresql` and `GATEWAY_TEST_STORE=filesystem|s3|swift` say what it stands on. A test that
names a database or a store's folder of its own keeps it; every other service gets a fresh database and fresh places in
the stores.
"""
