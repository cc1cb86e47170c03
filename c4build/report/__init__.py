"""One page about the corpora below a folder, by their manifests and by what their runs left."""
