"""What tests and intervals speak about: values, pairs, clusters, blocks of time, arms."""
