"""Where shards are computed: on this machine, or on a Ray cluster."""
