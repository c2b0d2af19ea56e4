"""A small synthetic street, so that everything can be tried without data and without network."""

from smalti.demo.scene import LEGEND, Street
from smalti.demo.write import write_demo

__all__ = ["LEGEND", "Street", "write_demo"]
