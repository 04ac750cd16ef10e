"""Deploy on save: the watcher behind `ckfunc watch` and `ckfunc dev`."""
