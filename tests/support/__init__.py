"""Helpers that tests share: fakes, servers, clients, and checks of pages."""
