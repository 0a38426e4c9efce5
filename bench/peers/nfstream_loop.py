"""nfstream without its application guesses. Prints how many flows it found."""
import sys

from nfstream import NFStreamer


def main(path):
    print(sum(1 for _ in NFStreamer(source=path, n_dissections=0, statistical_analysis=False)))


if __name__ == "__main__":
    main(sys.argv[1])
