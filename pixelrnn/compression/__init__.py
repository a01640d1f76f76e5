"""Lossless compression: a model codes images in as many bits as its log-likelihood says."""
