"""Samples: the values of arms, as rows, pairs, clusters, time blocks or counts of categories."""
