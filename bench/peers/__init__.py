"""The programs that ``bench.compare`` runs: their table in ``registry.py``, and those that are scripts of ours."""
