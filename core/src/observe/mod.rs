//! What others may see of the engine: events as plain data, counters, histograms. Built in this folder's files.
