"""The distributed hash table (BEP 5, 32, 42, 43) without sockets: datagrams and `now` in, datagrams and events out."""
