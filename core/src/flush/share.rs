//! Work in pieces, done by the thread of a job and by one more while some thread of the process has nothing else to do.
//!
//! Called by the flush job. Whoever is free takes the next piece; the job's thread puts what was done in order, and waits for nobody
//! unless the piece whose turn it is is being done at this moment. Promises: what comes out does not depend on who did what; an error
//! or a panic of the helper is the job's; when the job returns, nobody works for it any more; no more is done ahead than it asks for.

use super::output::check_cancel;
use crate::atomic::{AtomicBool, Ordering};
use crate::env::{Bell, JobKind, Next, Pooled, Runtime, Task, TaskHandle};
use crate::error::{Error, ErrorKind, Result};
use crate::lock::Mutex;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// Fewer pieces are not worth a second thread.
const SHARED_PIECES_MIN: usize = 4;

/// The job looks again after this long: whether it was called off.
const PATIENCE: Duration = Duration::from_millis(100);

/// Pieces of work, numbered from 0 on, each done once.
pub(super) trait Work: Send + Sync + 'static {
    /// What comes of a piece.
    type Done: Send;

    /// Does a piece before its turn, or as much of it as may be done ahead. `check` is to be called now and then; its error ends the piece.
    fn ahead(&self, number: usize, check: &dyn Fn() -> Result<()>) -> Result<Self::Done>;
}

struct Shared<W: Work> {
    work: Arc<W>,
    pieces: usize,
    pieces_ahead: usize,
    state: Mutex<State<W::Done>>,
    /// Set when nobody wants the work any more.
    stopped: AtomicBool,
    /// Rung for the helper.
    to_do: Arc<Bell>,
    /// Rung for the job.
    progress: Bell,
}

struct State<D> {
    /// How many pieces were taken up, and how many have had their turn.
    taken: usize,
    placed: usize,
    done: BTreeMap<usize, Result<D>>,
}

/// What to do next.
enum Turn<D> {
    /// It is the turn of this piece, which was done ahead.
    Place(usize, Result<D>),
    /// Do this one, which nobody has begun.
    Take(usize),
    /// Somebody else has to move on first.
    Wait,
    /// There is nothing left.
    End,
}

impl<W: Work> Shared<W> {
    fn turn(&self, is_job: bool) -> Turn<W::Done> {
        let mut state = self.state.lock();
        let placed = state.placed;
        if is_job && let Some(done) = state.done.remove(&placed) {
            return Turn::Place(placed, done);
        }
        if state.taken == self.pieces {
            return if is_job && placed < self.pieces { Turn::Wait } else { Turn::End };
        }
        if state.taken - placed >= self.pieces_ahead {
            return Turn::Wait;
        }
        state.taken += 1;
        Turn::Take(state.taken - 1)
    }

    fn post(&self, number: usize, done: Result<W::Done>) {
        self.state.lock().done.insert(number, done);
        self.progress.ring();
    }
}

/// Does one piece a step.
struct Helper<W: Work>(Arc<Shared<W>>);

impl<W: Work> Task for Helper<W> {
    fn step(&mut self) -> Next {
        let shared = &*self.0;
        if shared.stopped.load(Ordering::SeqCst) {
            return Next::Done;
        }
        match shared.turn(false) {
            Turn::Take(number) => {
                let check = || check_cancel(Some(&shared.stopped));
                let done = catch_unwind(AssertUnwindSafe(|| shared.work.ahead(number, &check)));
                let panicked = || Err(Error::new(ErrorKind::Panic, "a thread that helped with a flush panicked"));
                shared.post(number, done.unwrap_or_else(|_| panicked()));
                Next::Again
            }
            Turn::Wait => Next::Wait(None),
            Turn::Place(..) | Turn::End => Next::Done,
        }
    }
}

/// The helper, for as long as the job wants one.
struct Borrowed<W: Work> {
    shared: Arc<Shared<W>>,
    handle: Box<dyn TaskHandle>,
}

impl<W: Work> Drop for Borrowed<W> {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.shared.to_do.ring();
        self.handle.join();
    }
}

/// Has all `pieces` of `work` done and calls `place` for each in its turn, with what was done ahead of it; if nothing was, the whole piece is left to
/// `place`. Never more than `pieces_ahead` are begun that have not had their turn. Cancelled if `cancel` is set meanwhile.
pub(super) fn in_order<W: Work>(
    work: &Arc<W>,
    (pieces, pieces_ahead): (usize, usize),
    runtime: &dyn Runtime,
    cancel: Option<&AtomicBool>,
    mut place: impl FnMut(usize, Option<W::Done>) -> Result<()>,
) -> Result<()> {
    let shared = Arc::new(Shared {
        work: work.clone(),
        pieces,
        pieces_ahead,
        state: Mutex::new(State { taken: 0, placed: 0, done: BTreeMap::new() }),
        stopped: AtomicBool::new(false),
        to_do: Arc::new(Bell::new()),
        progress: Bell::new(),
    });
    let _borrowed = (pieces >= SHARED_PIECES_MIN).then(|| borrow(&shared, runtime)).flatten();
    loop {
        check_cancel(cancel)?;
        let seen = shared.progress.count();
        let (number, done) = match shared.turn(true) {
            Turn::Place(number, done) => (number, Some(done?)),
            Turn::Take(number) if number == shared.state.lock().placed => (number, None),
            Turn::Take(number) => {
                shared.post(number, work.ahead(number, &|| check_cancel(cancel)));
                continue;
            }
            Turn::Wait => {
                runtime.wait(&shared.progress, seen, Some(PATIENCE));
                continue;
            }
            Turn::End => return Ok(()),
        };
        place(number, done)?;
        shared.state.lock().placed += 1;
        shared.to_do.ring();
    }
}

/// A helper, if there can be one.
fn borrow<W: Work>(shared: &Arc<Shared<W>>, runtime: &dyn Runtime) -> Option<Borrowed<W>> {
    let pooled = Pooled { kind: JobKind::Help, threads: 1 };
    let handle = runtime.spawn_pooled(pooled, shared.to_do.clone(), Box::new(Helper(shared.clone()))).ok()?;
    Some(Borrowed { shared: shared.clone(), handle })
}
