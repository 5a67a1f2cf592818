"""From a data set to batches: samplers, augmentation, loader. Only this part of data knows torch."""
