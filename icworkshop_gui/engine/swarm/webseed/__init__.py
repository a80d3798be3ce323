"""Web servers as virtual peers (BEP 19, BEP 17): they have everything, choke nobody and count for nobody's rarity.

places     which URL and which bytes of it hold a stretch of the torrent                PURE
answers    does an HTTP answer hold what was asked for                                  PURE
gates      may this server be asked now, for how much, for which pieces                 PURE
share      how much of the recent download came from web servers                        PURE
seed       what is known of one server: ranges, failures, lies, speed                   PURE
claims     which blocks a request takes, over the swarm's one book of pieces            PURE
reader     a stream of bytes cut into the blocks that are waited for                    PURE
fetching   one request
asking     who is asked for what, when
"""
