"""The main job on real recordings: corpora that install by package name, and the run that shows what comes of them."""
