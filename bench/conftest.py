"""What the benchmarks of the parts have in common: a capture of each kind, and a figure per packet."""
import pytest

from bench.traffic import write_capture

KINDS = {"small": (100_000, 25_000, (64, 100)), "large": (100_000, 5_000, (560, 640))}


@pytest.fixture(scope="session", params=KINDS)
def capture(request, tmp_path_factory):
    """Path of a capture and its number of packets."""
    packets, connections, size = KINDS[request.param]
    path = tmp_path_factory.mktemp("bench") / f"{request.param}.pcap"
    write_capture(path, packets, connections, size)
    return path, packets


@pytest.fixture
def per_packet(benchmark):
    """Time ``run(*setup())`` with a fresh ``setup()`` every round, which is not timed; gives what it returned."""
    def measure(packets, run, setup):
        result = benchmark.pedantic(run, setup=lambda: (setup(), {}), rounds=10, warmup_rounds=1)
        if benchmark.stats:             # absent when benchmarks are disabled
            benchmark.extra_info["ns_per_packet"] = round(benchmark.stats["median"] / packets * 1e9, 1)
        return result
    return measure
