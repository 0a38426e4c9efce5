"""Captures: reading and writing packets."""
from fastct.capture.reader import Capture, open
from fastct.capture.writer import PcapngWriter, PcapWriter, open_writer

__all__ = ["Capture", "PcapWriter", "PcapngWriter", "open", "open_writer"]
