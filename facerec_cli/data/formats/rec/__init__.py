"""``.rec``: mxnet's records (``recordio``), their index and lists, labels, reading and writing."""
