"""Makes `import allegroai` mean `smalti.allegroai` in the workers that a script spawns; see `smalti.allegroai.__main__`."""

from smalti.allegroai.__main__ import alias

alias()
