"""From a snapshot to a quality report: contract, quarantine, integrity and leakage."""
