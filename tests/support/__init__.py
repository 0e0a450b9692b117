"""What the tests share: stand-ins, servers, clients, and checks of pages."""
