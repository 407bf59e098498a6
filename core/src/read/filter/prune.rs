//! A filter asked about many rows at once, from their least and greatest values: may it select any of them, or all?

use super::evaluate::compare;
use super::literal::text_or_binary;
use super::{BoundFilter, Comparison, Node};
use arrow_array::{Array, ArrayRef};

/// What is known of one column over a stretch of rows.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    /// A value at or below every one that is not null, in the order that filters use; `None`: not known.
    pub min: Option<ArrayRef>,
    /// A value at or above every one that is not null; `None`: not known.
    pub max: Option<ArrayRef>,
    /// Nulls among the rows; `None`: not known.
    pub null_count: Option<u64>,
}

/// What is known of a stretch of rows: a file, a row group, a page.
pub trait ZoneMaps {
    /// What is known of the column with this id; `None`: nothing. Its bounds must have the type of the schema that the filter was bound to.
    fn zone(&self, column: u32) -> Option<Zone>;

    /// How many rows there are.
    fn rows(&self) -> u64;
}

/// What a filter selects of a stretch of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// None of them: they need not be read.
    None,
    /// Some of them, perhaps.
    Some,
    /// All of them: the filter need not be applied.
    All,
}

/// Which of the three truth values some row may have.
#[derive(Debug, Clone, Copy)]
struct Possible {
    yes: bool,
    no: bool,
    unknown: bool,
}

impl BoundFilter {
    /// What it selects of the rows that `zones` tells of. `None` and `All` are certain.
    pub fn prune(&self, zones: &dyn ZoneMaps) -> Decision {
        match possible(&self.root, zones) {
            Possible { yes: false, .. } => Decision::None,
            Possible { no: false, unknown: false, .. } => Decision::All,
            _ => Decision::Some,
        }
    }
}

fn possible(node: &Node, zones: &dyn ZoneMaps) -> Possible {
    let nulls = |id: u32| {
        let nulls = zones.zone(id).and_then(|zone| zone.null_count);
        // Whether there may be any, and whether there may be others.
        nulls.map_or((true, true), |nulls| (nulls > 0, nulls < zones.rows()))
    };
    match node {
        Node::And(nodes) => nodes.iter().map(|node| possible(node, zones)).fold(
            Possible { yes: true, no: false, unknown: false },
            |a, b| Possible {
                yes: a.yes && b.yes,
                no: a.no || b.no,
                unknown: (a.unknown && (b.unknown || b.yes)) || (b.unknown && a.yes),
            },
        ),
        Node::Or(nodes) => nodes.iter().map(|node| possible(node, zones)).fold(
            Possible { yes: false, no: true, unknown: false },
            |a, b| Possible {
                yes: a.yes || b.yes,
                no: a.no && b.no,
                unknown: (a.unknown && (b.unknown || b.no)) || (b.unknown && a.no),
            },
        ),
        Node::Not(node) => {
            let Possible { yes, no, unknown } = possible(node, zones);
            Possible { yes: no, no: yes, unknown }
        }
        Node::Unknown => Possible { yes: false, no: false, unknown: true },
        Node::IfNotNull { column, truth } => {
            let (null, other) = nulls(column.id);
            Possible { yes: other && *truth, no: other && !truth, unknown: null }
        }
        Node::IsNull(column) => {
            let (null, other) = nulls(column.id);
            Possible { yes: null, no: other, unknown: false }
        }
        Node::Compare { column, comparison, literal } => {
            let (null, other) = nulls(column.id);
            let zone = zones.zone(column.id).unwrap_or_default();
            let Possible { yes, no, .. } = compared(&zone, *comparison, literal);
            Possible { yes: yes && other, no: no && other, unknown: null }
        }
        Node::StartsWith { column, prefix } => {
            let (null, other) = nulls(column.id);
            let Possible { yes, no, .. } = begun(&zones.zone(column.id).unwrap_or_default(), prefix);
            Possible { yes: yes && other, no: no && other, unknown: null }
        }
    }
}

/// Whether values within the zone may begin so, or not. Between two values that begin alike all do.
fn begun(zone: &Zone, prefix: &[u8]) -> Possible {
    let bytes = |bound: &Option<ArrayRef>| -> Option<Vec<u8>> {
        let bound = bound.as_ref().filter(|bound| bound.len() == 1 && bound.is_valid(0))?;
        text_or_binary(bound).map(<[u8]>::to_vec)
    };
    let (min, max) = (bytes(&zone.min), bytes(&zone.max));
    let begins = |bound: &Option<Vec<u8>>| bound.as_ref().is_some_and(|bound| bound.starts_with(prefix));
    let too_low = max.as_deref().is_some_and(|max| max < prefix);
    let too_high = min.as_deref().is_some_and(|min| min > prefix && !min.starts_with(prefix));
    Possible { yes: !too_low && !too_high, no: !(begins(&min) && begins(&max)), unknown: false }
}

/// What `value op literal` may be for values within the zone.
fn compared(zone: &Zone, comparison: Comparison, literal: &ArrayRef) -> Possible {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    // Bounds of another type say nothing; nor does a bound that is missing.
    let holds = |bound: &Option<ArrayRef>, comparison| {
        let bound = bound.as_ref().filter(|bound| bound.len() == 1 && bound.data_type() == literal.data_type())?;
        let truth = compare(bound, comparison, literal).ok()?;
        truth.is_valid(0).then(|| truth.value(0))
    };
    let may = |bound, comparison| holds(bound, comparison).unwrap_or(true);
    let (min, max) = (&zone.min, &zone.max);
    let less = |or_equal| Possible {
        yes: may(min, if or_equal { LessOrEqual } else { Less }),
        no: may(max, if or_equal { Greater } else { GreaterOrEqual }),
        unknown: false,
    };
    let equal = || Possible {
        yes: may(min, LessOrEqual) && may(max, GreaterOrEqual),
        no: may(min, NotEqual) || may(max, NotEqual),
        unknown: false,
    };
    let not = |possible: Possible| Possible { yes: possible.no, no: possible.yes, unknown: false };
    match comparison {
        Less => less(false),
        LessOrEqual => less(true),
        Greater => not(less(true)),
        GreaterOrEqual => not(less(false)),
        Equal => equal(),
        NotEqual => not(equal()),
    }
}
