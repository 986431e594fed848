"""The kinds of files, one module each: a plan goes in, texts by file name come out."""
