"""From findings and a comparison to a gate decision."""
