"""The embedded BitTorrent tracker: the table of peers, whom to hand out, and its UDP and HTTP faces."""
