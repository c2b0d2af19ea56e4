"""Fixtures of the contract suites."""

from tests.catalog_places import catalog, clock, place, s3_address
from tests.postgres import postgres_database, postgres_server

__all__ = ["catalog", "clock", "place", "postgres_database", "postgres_server", "s3_address"]
