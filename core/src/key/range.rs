//! Ranges of keys: a lower bound that is in, an upper bound that is out, either of them absent.

/// The keys from `lower` (in) up to `upper` (out); an absent bound is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// The least key that belongs to the range.
    pub lower: Option<Vec<u8>>,
    /// The least key beyond the range.
    pub upper: Option<Vec<u8>>,
}

impl KeyRange {
    /// Every key.
    pub const fn all() -> Self {
        Self { lower: None, upper: None }
    }

    /// The keys that start with `prefix`.
    pub fn prefix(prefix: &[u8]) -> Self {
        Self { lower: Some(prefix.to_vec()), upper: prefix_end(prefix) }
    }

    /// Whether `key` lies in the range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.lower.as_deref().is_none_or(|lower| key >= lower) && self.upper.as_deref().is_none_or(|upper| key < upper)
    }

    /// Whether some key from `first` up to `last`, both included, may lie in the range.
    #[inline]
    pub fn touches(&self, first: &[u8], last: &[u8]) -> bool {
        self.lower.as_deref().is_none_or(|lower| last >= lower)
            && self.upper.as_deref().is_none_or(|upper| first < upper)
    }

    /// Whether no key can lie in the range.
    pub fn is_empty(&self) -> bool {
        matches!((&self.lower, &self.upper), (Some(lower), Some(upper)) if lower >= upper)
    }

    /// The keys that lie in both ranges.
    pub fn intersect(self, other: Self) -> Self {
        let lower = match (self.lower, other.lower) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let upper = match (self.upper, other.upper) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Self { lower, upper }
    }
}

/// The least key greater than every key that starts with `prefix`; `None` if there is none (the prefix is empty or all 0xff).
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_range_holds_just_the_keys_with_that_prefix() {
        let range = KeyRange::prefix(b"ab\xff");
        assert!(range.contains(b"ab\xff") && range.contains(b"ab\xff\xff\xff"));
        assert!(!range.contains(b"ab") && !range.contains(b"ac"));
        assert_eq!(prefix_end(b"\xff\xff"), None);
        assert_eq!(prefix_end(b""), None);
        assert!(KeyRange { lower: Some(b"b".to_vec()), upper: Some(b"b".to_vec()) }.is_empty());
    }
}
