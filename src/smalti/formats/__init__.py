"""Other people's layouts ⇄ frames, one file each."""
