//! The ranges of one flush, from cursors to blocks.
//!
//! Called by the flush job; [`share`](super::share) says who encodes which. Promises: the file does not depend on that; a range whose turn
//! has not come holds little more than [`RANGE_AHEAD_BYTES`] of blocks, and no copy of a long value.

use super::output::check_cancel;
use super::share::{Work, in_order};
use crate::atomic::AtomicBool;
use crate::env::Runtime;
use crate::error::Result;
use crate::iter::{Cursor, Merge};
use crate::key::Sequence;
use crate::lock::Mutex;
use crate::memtable::{FlushCursor, FlushRanges, RoutedNodes};
use crate::merge::{SurvivorCounts, Survivors};
use crate::sst::{SstOptions, SstPart, SstPartBuilder, SstWriter};
use std::sync::Arc;

/// How many entries pass between two looks at whether the work is still wanted: some hundred microseconds of it.
const ENTRIES_PER_CHECK: u64 = 4096;

/// How many ranges may be taken up before the first of them is in the file.
const RANGES_AHEAD: usize = 4;

/// What a range may hold of encoded blocks while its turn has not come; what is left of it is then encoded by the job.
const RANGE_AHEAD_BYTES: usize = 2 << 20;

/// What shall become of the entries.
pub(super) struct Encoding {
    pub options: SstOptions,
    /// The live snapshots, ascending.
    pub snapshots: Vec<Sequence>,
    /// Whether deletes that every snapshot sees may go.
    pub bottom: bool,
}

/// One range on its way.
pub(super) struct Range<C: Cursor> {
    survivors: Survivors<Merge<C>>,
    builder: SstPartBuilder,
    parts: Vec<SstPart>,
    /// The survivor that was given out last has too long a value for a part: it goes into the file next.
    waits: bool,
    ended: bool,
}

impl<C: Cursor> Range<C> {
    /// Encodes until there is enough for a part, or no more, or a value that is too long.
    fn encode(&mut self, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let mut next_check = 0;
        while !self.builder.is_full() {
            let seen = self.survivors.counts().entries_in;
            if seen >= next_check {
                next_check = seen + ENTRIES_PER_CHECK;
                check()?;
            }
            let Some(entry) = self.survivors.next()? else {
                self.builder.end();
                self.ended = true;
                return Ok(());
            };
            if SstPartBuilder::is_too_long(&entry) {
                self.builder.pass_by(&entry)?;
                self.waits = true;
                return Ok(());
            }
            self.builder.add(&entry)?;
        }
        Ok(())
    }
}

/// The ranges, for whoever takes them up.
pub(super) struct Ranges<C: Cursor> {
    encoding: Encoding,
    cursors: Mutex<Vec<Vec<C>>>,
    /// What ranges that are in the file have left.
    spares: Mutex<(Vec<SstPartBuilder>, Vec<Vec<u8>>)>,
}

impl<C: Cursor> Ranges<C> {
    fn spare_buffer(&self) -> Vec<u8> {
        self.spares.lock().1.pop().unwrap_or_default()
    }

    fn begin(&self, number: usize) -> Result<Range<C>> {
        let cursors = std::mem::take(&mut self.cursors.lock()[number]);
        let spare = self.spares.lock().0.pop();
        let mut builder = spare.map_or_else(|| SstPartBuilder::new(&self.encoding.options), Ok)?;
        builder.restart(self.spare_buffer());
        let survivors = Survivors::new(Merge::new(cursors), self.encoding.snapshots.clone(), self.encoding.bottom);
        Ok(Range { survivors, builder, parts: Vec::new(), waits: false, ended: false })
    }

    /// Puts a range into the file, and encodes what is left of it.
    fn place(
        &self,
        mut range: Range<C>,
        writer: &mut SstWriter,
        cancel: Option<&AtomicBool>,
    ) -> Result<SurvivorCounts> {
        for part in range.parts.drain(..) {
            let buffer = writer.append(part)?;
            self.spares.lock().1.push(buffer);
        }
        loop {
            if std::mem::take(&mut range.waits) {
                writer.append_entry(&range.survivors.entry())?;
            }
            if range.ended {
                break;
            }
            range.encode(&|| check_cancel(cancel))?;
            let buffer = writer.append(range.builder.take(Vec::new()))?;
            range.builder.reuse(buffer);
        }
        let buffer = range.builder.take(Vec::new()).into_buffer();
        let mut spares = self.spares.lock();
        spares.0.push(range.builder);
        spares.1.push(buffer);
        Ok(range.survivors.counts())
    }
}

impl<C: Cursor + Send + 'static> Work for Ranges<C> {
    type Done = Range<C>;

    fn ahead(&self, number: usize, check: &dyn Fn() -> Result<()>) -> Result<Range<C>> {
        let mut range = self.begin(number)?;
        let mut held_bytes = 0;
        while !range.ended && !range.waits && held_bytes < RANGE_AHEAD_BYTES {
            range.encode(check)?;
            let part = range.builder.take(self.spare_buffer());
            held_bytes += part.len_bytes();
            range.parts.push(part);
        }
        Ok(range)
    }
}

/// Encodes `ranges`, which rise and share no key, into `writer`; of each the cursors over its sources, newest first. Cancelled if `cancel` is
/// set meanwhile.
pub(super) fn encode_ranges<C: Cursor + Send + 'static>(
    ranges: Vec<Vec<C>>,
    encoding: Encoding,
    runtime: &dyn Runtime,
    writer: &mut SstWriter,
    cancel: Option<&AtomicBool>,
) -> Result<SurvivorCounts> {
    let pieces = (ranges.len(), RANGES_AHEAD);
    let work = Arc::new(Ranges { encoding, cursors: Mutex::new(ranges), spares: Mutex::default() });
    let mut counts = SurvivorCounts::default();
    in_order(&work, pieces, runtime, cancel, |number, done| {
        let range = done.map_or_else(|| work.begin(number), Ok)?;
        counts.add(&work.place(range, writer, cancel)?);
        Ok(())
    })?;
    Ok(counts)
}

impl Work for FlushRanges {
    type Done = RoutedNodes;

    fn ahead(&self, number: usize, check: &dyn Fn() -> Result<()>) -> Result<RoutedNodes> {
        check()?;
        Ok(self.route(number))
    }
}

/// Cuts what is to be flushed into ranges.
pub(super) fn cut_ranges(
    ranges: FlushRanges,
    runtime: &dyn Runtime,
    cancel: Option<&AtomicBool>,
) -> Result<Vec<Vec<FlushCursor>>> {
    let ranges = Arc::new(ranges);
    let chunks = ranges.chunks();
    let mut routed = Vec::with_capacity(chunks);
    in_order(&ranges, (chunks, chunks), runtime, cancel, |number, done| {
        routed.push(done.unwrap_or_else(|| ranges.route(number)));
        Ok(())
    })?;
    Ok(ranges.cursors(routed))
}

#[cfg(test)]
mod tests;
