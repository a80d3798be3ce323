"""Talking with trackers, both sides of it: HTTP (BEP 3, 7, 23, 48) and UDP (BEP 15, 41). Sans-IO."""
