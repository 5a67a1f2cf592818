"""From a data set to batches: samplers, augmentation, loader. Only this room of data knows torch."""
