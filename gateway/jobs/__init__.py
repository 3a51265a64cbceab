"""Durable execution of imports, behind the Jobs port."""
