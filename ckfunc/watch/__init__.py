"""What changed on disk: file events made into batches of paths whose content differs; knows nothing of deploying."""
