"""Views as training data, one file per framework; each framework is imported only when its file is."""
