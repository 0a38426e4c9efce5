"""nfstream over a capture, without its statistics and its look into payloads. Prints how many flows it saw."""
import sys

from nfstream import NFStreamer

# One meter: a core each, as for the others. The timeouts keep a flow together as long as the capture lasts.
if __name__ == "__main__":
    print(sum(1 for _ in NFStreamer(source=sys.argv[1], statistical_analysis=False, n_dissections=0, n_meters=1,
                                    idle_timeout=3600, active_timeout=86400)))
