"""Benchmarks: traffic that can be made anew anywhere, fastct against other programs, and the parts of fastct."""
