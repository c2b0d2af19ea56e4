"""smalti: open hyper-datasets with first-class segmentation masks."""

__version__ = "0.1.0"
