//! Damage of every kind: the answer is an error that names the file, or right data.
