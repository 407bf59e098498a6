//! Filters: which keys a file certainly does not hold.
