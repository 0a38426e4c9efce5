import numpy as np

CTSTATES: tuple[str, ...]
CTDIRS: tuple[str, ...]
VERDICTS: tuple[str, ...]
DECIDERS: tuple[str, ...]
STATES: tuple[str, ...]
ENDS: tuple[str, ...]
EVENTS: tuple[str, ...]
ZONE_DIRS: tuple[str, ...]
HELPERS: tuple[str, ...]
EXPECT_CLASSES: dict[str, tuple[str, ...]]

CONNECTION_DTYPE: np.dtype[np.void]
PACKET_DTYPE: np.dtype[np.void]
EVENT_DTYPE: np.dtype[np.void]
EXPECTATION_DTYPE: np.dtype[np.void]
EXPECT_EVENT_DTYPE: np.dtype[np.void]
