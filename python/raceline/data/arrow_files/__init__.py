"""Files that PyArrow opens, in worker processes.

The engine reads and writes local files and S3 itself. What it does not know goes this way: file
systems of PyArrow and fsspec, streams that are opened with arguments, and the options of PyArrow's
own readers and writers. ``source`` finds the files and unites their columns, a form says how a
file of a format becomes rows, and ``sink`` stages what is written.
"""
