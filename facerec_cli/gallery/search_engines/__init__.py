"""Where a search is made: in this process, through an index, on a Ray cluster, or in a LanceDB table."""
