"""A Workshop to try the program on: generated packages, a server, and two peers, all on loopback."""
