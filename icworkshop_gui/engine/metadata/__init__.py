"""From the hash in a magnet link to the torrent: peers are asked for its info dict (BEP 9)."""
