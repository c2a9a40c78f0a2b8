"""Find where a metric broke: by version, by batch of training rows, by window of traffic."""
