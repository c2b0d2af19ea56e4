"""Where older scripts import `DatasetVersion` from."""

from smalti.allegroai.dataset import Dataset
from smalti.allegroai.dataset_version import DatasetVersion

__all__ = ["Dataset", "DatasetVersion"]
